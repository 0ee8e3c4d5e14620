"""`sg` beside the official client: the same methods, arguments, calls of the site, and results.

In: shotgun_api3, which is inspected and called with a site that answers what the test says.
Never: the network. Without shotgun_api3 nothing can be compared, and the tests say so.
"""

import copy
import inspect
import json
import unittest

import sgeventd
from sgeventd import Shotgun

try:
    import shotgun_api3
except ImportError:
    shotgun_api3 = None

# What the daemon keeps to itself: passwords, tokens and cookies.
CREDENTIALS = {"authenticate_human_user", "get_auth_cookie_handler", "get_session_token"}
# Signed addresses are for those who hold a session.
ADDRESSES = {"get_attachment_download_url"}

USER, SHOT = {"type": "HumanUser", "id": 3}, {"type": "Shot", "id": 860}
PROJECT = {"type": "Project", "id": 70}
AT = "2026-01-02T03:04:05Z"
# A method with its arguments, and what the site answers.
CALLS = [
    ("follow", (USER, SHOT), {}, {"followed": True, "user": USER, "entity": SHOT}),
    ("unfollow", (USER, SHOT), {}, {"unfollowed": True, "user": USER, "entity": SHOT}),
    ("followers", (SHOT,), {}, [dict(USER, name="a &lt; b", status="act")]),
    ("following", (USER,), {}, [SHOT]),
    ("following", (USER, PROJECT, "Shot"), {}, []),
    (
        "activity_stream_read",
        ("Shot", 860),
        {"entity_fields": {"Shot": ["code"]}, "max_id": 9, "limit": 2},
        {"entity_type": "Shot", "note": "a &lt; b", "updates": [{"id": 1, "created_at": AT, "text": "&lt;"}]},
    ),
    ("activity_stream_read", ("Shot", 860), {"min_id": 1}, {"updates": []}),
    ("note_thread_read", (7,), {}, [{"type": "Note", "id": 7, "content": "&lt;b>", "created_at": AT}]),
    ("note_thread_read", (7, {"Note": ["subject"]}), {}, []),
    ("nav_expand", ("/",), {"entity_fields": {"Shot": ["code"]}}, {"label": "All", "path": "/", "children": []}),
    ("nav_search_string", ("/", "sh"), {}, [{"label": "sh010", "project_id": 70}]),
    ("nav_search_entity", ("/", SHOT), {"seed_entity_field": "PublishedFile.entity"}, []),
    ("work_schedule_read", ("2026-01-01", "2026-01-02"), {"project": PROJECT}, {"2026-01-01": {"working": False}}),
    ("work_schedule_update", ("2026-01-01", False, "holiday"), {"user": USER}, {"date": "2026-01-01"}),
    ("preferences_read", (), {}, {"hours_per_day": 8.0}),
    ("preferences_read", (["duration_units"],), {}, {"duration_units": "days"}),
    ("user_subscriptions_read", (), {}, {"3": "super_review"}),
    ("user_subscriptions_create", ([{"login": "ann"}],), {}, {"status": "success"}),
    ("user_subscriptions_create", ([{"login": "ann"}],), {}, None),
    ("update_project_last_accessed", (PROJECT, USER), {}, True),
    ("update_project_last_accessed", (PROJECT,), {}, True),
    ("export_page", (11, "csv"), {"layout_name": "a"}, "Code\nsh010\n"),
    ("schema_field_create", ("Shot", "text", "Mood"), {"properties": {"description": "d"}}, "sg_mood"),
    ("schema_field_create", ("Shot", "text", "Mood"), {}, "sg_mood"),
    ("schema_field_update", ("Shot", "sg_mood", {"name": "Mood 2"}), {"project_entity": PROJECT}, True),
    ("schema_field_update", ("Shot", "sg_mood", {"name": "Mood 2"}), {}, True),
    ("schema_field_delete", ("Shot", "sg_mood"), {}, True),
    ("info", (), {}, {"version": [8, 89, 0]}),
    ("connect", (), {}, None),
    ("close", (), {}, None),
    ("add_user_agent", ("mine",), {}, None),
    ("reset_user_agent", (), {}, None),
    ("set_session_uuid", ("dd6a1d6a-83a0-11ec-8826-0242ac110006",), {}, None),
]
# Those that the daemon knows by name; it is tested against recordings of the official client.
BY_NAME = {
    "find", "find_one", "summarize", "create", "update", "delete", "revive", "batch", "schema_read",
    "schema_entity_read", "schema_field_read", "text_search", "upload", "upload_thumbnail",
    "upload_filmstrip_thumbnail", "share_thumbnail", "download_attachment",
}  # fmt: skip
# Where nothing is sent to the site: the connection is the daemon's.
QUIET = {"connect", "close", "add_user_agent", "reset_user_agent", "set_session_uuid"}


def official_methods():
    found = inspect.getmembers(shotgun_api3.Shotgun, inspect.isfunction)
    return {name: function for name, function in found if not name.startswith("_")}


def shape(function):
    """Names, kinds and defaults of all arguments but `self`; what they are annotated with is each side's own."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return [(one.name, one.kind, one.default) for one in parameters]


@unittest.skipUnless(shotgun_api3, "shotgun_api3 is not installed: nothing to compare with")
class Official(unittest.TestCase):
    def test_every_method_is_there_with_the_same_arguments(self):
        for name, theirs in official_methods().items():
            if name not in CREDENTIALS | ADDRESSES:
                ours = getattr(Shotgun, name, None)
                assert ours is not None, name
                wanted = shape(theirs)
                if name == "download_attachment":  # its first default is False there, and means None
                    wanted[0] = (*wanted[0][:2], None)
                assert shape(ours) == wanted, name

    def test_what_hands_out_a_credential_is_not_there(self):
        for name in CREDENTIALS | ADDRESSES:
            assert name in official_methods()
            assert not hasattr(Shotgun, name), name

    def test_every_method_is_compared(self):
        compared = {row[0] for row in CALLS} | BY_NAME | CREDENTIALS | ADDRESSES | {"schema", "entity_types"}
        assert compared == set(official_methods())

    def test_calls_of_the_site_and_results_are_the_same(self):
        for name, args, kwargs, answer in CALLS:
            theirs, sent_by_them = self._official(name, args, kwargs, answer)
            ours, sent_by_us = self._ours(name, args, kwargs, answer)
            assert ours == theirs, (name, ours, theirs)
            assert type(ours) is type(theirs), name
            if name not in QUIET:
                assert sent_by_us == sent_by_them, (name, sent_by_us, sent_by_them)
            else:
                assert sent_by_us is None, name

    def test_what_is_gone_there_is_gone_here_in_the_same_words(self):
        client = self._client({})
        for name, args in [("schema", ("Shot",)), ("entity_types", ())]:
            with self.assertRaises(shotgun_api3.ShotgunError) as theirs:  # noqa: PT027
                getattr(client, name)(*args)
            with self.assertRaises(sgeventd.NotSupported) as ours:  # noqa: PT027
                getattr(Shotgun(self.fail, {}), name)(*args)
            assert str(ours.exception) == str(theirs.exception)

    def _official(self, name, args, kwargs, answer):
        client = self._client(answer)
        found = getattr(client, name)(*copy.deepcopy(args), **copy.deepcopy(kwargs))
        return found, client.sent

    def _client(self, answer):
        class Client(shotgun_api3.Shotgun):
            sent = None

            def _make_call(self, verb, path, body, headers):
                if name_of(body) == "info" and not self.is_asked:
                    results = {"version": [8, 89, 0]}
                else:
                    results, self.sent = answer, call_of(body)
                return (200, "OK"), {"content-type": "application/json"}, json.dumps({"results": results})

        Client.is_asked = False
        client = Client("https://studio.example", script_name="a", api_key="b")
        Client.is_asked = True
        return client

    def _ours(self, name, args, kwargs, answer):
        sent = []

        def call(method, params):
            params = json.loads(json.dumps(params))
            sent.append((params["method"], params["payload"]))
            assert method == "sg.rpc"
            return json.loads(json.dumps(answer))

        found = getattr(Shotgun(call, {}), name)(*copy.deepcopy(args), **copy.deepcopy(kwargs))
        return found, sent[0] if sent else None


def name_of(body):
    return json.loads(body)["method_name"]


def call_of(body):
    message = json.loads(body)
    params = message["params"]
    return message["method_name"], params[1] if len(params) > 1 else None


class WithoutIt(unittest.TestCase):
    def test_arguments_that_cannot_be_right_are_refused_here(self):
        sg = Shotgun(self.fail, {})
        for call in [
            lambda: sg.activity_stream_read("Shot", 1, ["code"]),
            lambda: sg.note_thread_read(1, "subject"),
            lambda: sg.work_schedule_read(1, "2026-01-02"),
            lambda: sg.work_schedule_update(None, True),
        ]:
            with self.assertRaises(sgeventd.BadCall):  # noqa: PT027
                call()

    def test_who_acts_for_somebody_opens_the_project_for_them(self):
        seen = []

        def call(method, params):
            seen.append((method, params))
            return dict(USER) if method == "sg.find_one" else True

        Shotgun(call, {}).as_user("ann").update_project_last_accessed(PROJECT)
        assert seen[0][1]["filters"] == [["login", "is", "ann"]]
        assert seen[1][1]["payload"] == {"project_id": 70, "user_id": 3}
        assert seen[1][1]["_meta"] == {"sudo_as_login": "ann"}


if __name__ == "__main__":
    unittest.main()

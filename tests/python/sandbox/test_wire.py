"""The wire itself: what no client sends, and what clients of other languages may."""

from __future__ import annotations

import http.client
import json
import urllib.parse

import pytest
from conftest import start

CONTENT = "application/json; charset=utf-8"


@pytest.fixture(scope="module")
def site():
    yield from start("empty")


@pytest.fixture
def post(site):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(site.url).netloc, timeout=30)

    def send(body, path="/api3/json", content=CONTENT):
        body = body if isinstance(body, (bytes, str)) else json.dumps(body)
        connection.request("POST", path, body, {"content-type": content} if content else {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type"), answer.read()

    yield send
    connection.close()


def fault(answer):
    status, content, body = answer
    assert (status, content) == (200, CONTENT)
    told = json.loads(body)
    assert told["exception"] is True
    return told["error_code"], told["message"]


def call(site, method, payload, **more):
    return {"method_name": method, "params": [{"script_name": site.script, "script_key": site.key, **more}, payload]}


def test_info_needs_nobody_and_is_bare(post):
    status, content, body = post({"method_name": "info", "params": []})
    told = json.loads(body)
    assert (status, content) == (200, CONTENT)
    assert told["version"] >= [8, 0, 0]
    assert all(isinstance(number, int) for number in told["full_version"])
    assert json.loads(post({"method_name": "info"})[2]) == told


def test_a_site_may_lie_below_a_path(site, post):
    read = call(site, "read", {"type": "Project", "filters": {"conditions": []}, "return_fields": ["name"]})
    for path in ("/api3/json", "/studio/api3/json", "/a/b/api3/json"):
        told = json.loads(post(read, path)[2])
        assert told["results"]["entities"] == [{"type": "Project", "id": 1, "name": "Sandbox"}]


@pytest.mark.parametrize("content", ["text/plain", "application/x-www-form-urlencoded", "image/png", None])
def test_whatever_the_content_is_called_it_is_read(site, post, content):
    read = call(site, "read", {"type": "Project", "filters": None})
    assert json.loads(post(read, content=content)[2])["results"]["entities"]


def test_keys_of_credentials_that_nobody_knows_are_passed_over(site, post):
    read = call(site, "read", {"type": "Project", "filters": None}, made_up=[1, {"a": None}], locale="x")
    assert json.loads(post(read)[2])["results"]["entities"]


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "[]", "null", "3", '"read"', b"\xff\xfe", "[" * 100_000, '{"method_name": "read", "params": [NaN]}',
        '{"method_name": "read", "params": [{}, {"a": Infinity}]}', '{"method_name": null}', '{"method_name": "read", "params": {}}',
        '{"method_name": "read", "params": []} x',
    ],
)  # fmt: skip
def test_what_is_no_call_is_a_fault_and_the_connection_lives(post, body):
    code, _ = fault(post(body))
    assert code in (102, 103)
    assert post({"method_name": "info"})[0] == 200


def test_numbers_that_are_too_big_are_faults(site, post):
    text = json.dumps(call(site, "update", {"type": "Project", "id": 1, "fields": [{"field_name": "name", "value": 0}]}))
    for number in ("1" + "0" * 30, "-" + "9" * 400, "1e999", "1.5"):
        assert fault(post(text.replace('"value": 0', f'"value": {number}')))[0] == 103


def test_a_body_that_is_too_big_is_answered(post):
    status, _, body = post(b" " * (100 << 20))
    assert (status, body) == (413, b"a body of more than 64 MiB\n")
    assert post({"method_name": "info"})[0] == 200


def test_a_method_that_nobody_knows_is_a_fault_before_the_caller_is_looked_at(site, post):
    assert fault(post(call(site, "vanish", {}))) == (103, "API vanish() is not a method of this site")


def test_who_gives_no_credentials_is_refused(post):
    for params in ([], [None], [{}], [3], [{"script_name": "tests"}], [{"session_token": "x"}], [{"user_login": "x", "user_password": "y"}]):
        code, message = fault(post({"method_name": "read", "params": [*params, {"type": "Shot"}][:2]}))
        assert (code, message[:18]) == (102, "Can't authenticate")


def test_every_answer_has_the_envelope_of_its_method(site, post):
    ada, project = {"type": "HumanUser", "id": 1}, {"type": "Project", "id": 1}
    shot = json.loads(post(call(site, "create", {"type": "Shot", "fields": [
        {"field_name": "code", "value": "x"}, {"field_name": "project", "value": project}], "return_fields": ["id"]}))[2])["results"]  # fmt: skip
    assert shot == {"type": "Shot", "id": shot["id"], "code": "x", "project": {**project, "name": "Sandbox"}}
    note = json.loads(post(call(site, "create", {"type": "Note", "fields": [{"field_name": "project", "value": project}]}))[2])["results"]
    everything = {"logical_operator": "and", "conditions": []}
    bare = {"query_display_name_cache", "activity_stream", "note_thread_contents", "nav_expand", "nav_search", "preferences_read", "get_session_token"}
    for method, payload in [
        ("read", {"type": "Shot", "filters": everything, "return_fields": ["code"]}),
        ("summarize", {"type": "Shot", "summaries": [{"field": "id", "type": "count"}], "filters": everything}),
        ("update", {"type": "Shot", "id": shot["id"], "fields": [{"field_name": "code", "value": "y"}]}),
        ("delete", {"type": "Shot", "id": shot["id"]}),
        ("revive", {"type": "Shot", "id": shot["id"]}),
        ("batch", [{"request_type": "delete", "type": "Shot", "id": shot["id"]}, {"request_type": "revive", "type": "Shot", "id": shot["id"]}]),
        ("schema_entity_read", {}), ("schema_read", {}), ("schema_field_read", {"type": "Shot"}),
        ("follow", {"user": ada, "entity": shot}), ("unfollow", {"user": ada, "entity": shot}),
        ("followers", {"entity": shot}), ("following", {"user": ada}),
        ("work_schedule_read", {"start_date": "2026-01-01", "end_date": "2026-01-02", "project": None, "user": None}),
        ("work_schedule_update", {"date": "2026-01-01", "working": True, "description": None, "project": None, "user": None, "recalculate_field": None}),
        ("query_display_name_cache", {"text": "abc", "entity_types": {"Shot": everything}, "project_ids": [], "max_results": None}),
        ("activity_stream", {"type": "Shot", "id": shot["id"], "max_id": None, "min_id": None, "limit": None, "entity_fields": None}),
        ("note_thread_contents", {"note_id": note["id"], "entity_fields": {}}),
        ("nav_expand", {"path": "/", "seed_entity_field": None, "entity_fields": None}),
        ("nav_search", {"root_path": "/", "seed_entity_field": None, "search_criteria": {"search_string": "x"}}),
        ("preferences_read", {"prefs": []}), ("get_session_token", None),
        ("update_project_last_accessed_by_current_user", {"project_id": 1}), ("user_subscriptions_read", None),
        ("user_subscriptions_create", {"users": [ada]}), ("export_page", {"format": "csv", "page_id": 2, "layout_name": None}),
    ]:  # fmt: skip
        told = json.loads(post(call(site, method, payload))[2])
        assert "exception" not in told, (method, told)
        assert (set(told) == {"results"} if isinstance(told, dict) else False) == (method not in bare), (method, told)


def test_pages_are_counted_only_for_who_asks(site, post):
    def info(**more):
        payload = {"type": "Status", "filters": None, "paging": {"entities_per_page": 4, "current_page": 2}, **more}
        return json.loads(post(call(site, "read", payload))[2])["results"]["paging_info"]

    plain = info()
    assert plain == {
        "has_next_page": True, "current_page": 2, "entities_per_page": 4,
        "entity_count": plain["entity_count"], "page_count": -(-plain["entity_count"] // 4),
    }  # fmt: skip
    assert info(return_paging_info=True) == plain
    assert set(info(return_paging_info_without_counts=True)) == {"has_next_page", "current_page", "entities_per_page"}
    nobody = {"conditions": [{"path": "id", "relation": "is", "values": [-1]}]}
    assert info(filters=nobody) == {"has_next_page": False, "current_page": 0, "entities_per_page": 4, "entity_count": 0, "page_count": 0}
    last = info(paging={"entities_per_page": plain["entity_count"], "current_page": 1})
    assert (last["has_next_page"], last["page_count"]) == (False, 1)

"""`sgeventd.testing`: what a plugin's author leans on."""

import datetime
import doctest
import unittest

import sgeventd._plugin
import sgeventd.testing
from sgeventd import BadCall, Fault, Plugin, Retry, Skip
from sgeventd.testing import FakeShotgun, UnexpectedCall, make_event, run_handler


def tried(function, *events, **options):
    plugin = Plugin("tried")
    plugin.on(*events, **options)(function)
    return plugin


class Testing(unittest.TestCase):
    def test_the_examples_in_the_docs_run(self):
        for module in (sgeventd.testing, sgeventd._plugin):
            found = doctest.testmod(module)
            assert found.attempted > 2
            assert found.failed == 0

    def test_an_event_reads_by_name_and_as_a_mapping(self):
        task = {"type": "Task", "id": 7, "name": "comp"}
        event = make_event("Shotgun_Task_Change", "sg_status_list", id=3, entity=task, new_value="fin")
        assert (event.id, event["id"], event.entity, event.meta["new_value"]) == (3, 3, task, "fin")
        moment = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc)
        assert event.created_at == moment
        assert event.created_at.tzinfo is not None
        assert (event.attempt, event.replay, event.project, set(event) == set(event.raw)) == (1, False, None, True)
        with self.assertRaises(AttributeError):  # noqa: PT027 - these tests run without pytest too
            event.entity = None

    def test_a_call_that_was_not_scripted_is_shown(self):
        sg = FakeShotgun().expect("find", [], entity_type="Task")
        with self.assertRaises(UnexpectedCall) as caught:  # noqa: PT027
            run_handler(tried(lambda event, sg: sg.find("Shot", [])), make_event(), sg=sg)
        assert "find(entity_type='Shot', filters=[])" in str(caught.exception)
        assert "find(entity_type='Task')" in str(caught.exception)

    def test_a_scripted_error_is_raised(self):
        sg = FakeShotgun().expect("find", Fault("no such field"))
        outcome = run_handler(tried(lambda event, sg: sg.find("Shot", [])), make_event(), sg=sg)
        assert (outcome.status, type(outcome.error)) == ("failed", Fault)
        assert outcome.failure["type"] == "Fault"
        with self.assertRaises(Fault):  # noqa: PT027
            outcome.check()

    def test_outcomes(self):
        def retry(event):
            raise Retry(after=2, reason="soon")

        def skip():
            raise Skip("x")

        outcome = run_handler(tried(retry), make_event())
        assert (outcome.status, outcome.after, outcome.reason) == ("retry", 2, "soon")
        assert run_handler(tried(skip), make_event()).status == "skip"
        assert run_handler(tried(skip, "Shotgun_Shot_New"), make_event()).status == "ignored"

    def test_state_config_logs_and_notices_are_seen(self):
        plugin = Plugin("tried")

        @plugin.on()
        def handler(event):
            plugin.state.set("n", plugin.state.get("n", 0) + plugin.config["step"])
            plugin.log.warning("at %s", event.id)
            plugin.log.debug("besides")
            plugin.alert("look")

        outcome = run_handler(plugin, make_event(id=9), state={"n": 1}, config={"step": 2}).check()
        assert outcome.state == {"n": 3}
        assert outcome.logs == (("warning", "at 9"), ("debug", "besides"))
        assert plugin.log.level == 0, "as it was"
        assert outcome.notices == (("alert", {"message": "look"}),)

    def test_only_arguments_that_say_something_are_sent(self):
        sg = FakeShotgun().expect("find", []).expect("summarize", {}).expect("rpc", 1)
        sg.find("Shot", [], filter_operator="any", limit=0, include_archived_projects=False)
        sg.summarize("Task", [], [{"field": "id", "type": "count"}])
        sg.rpc("info")
        assert sg.calls[0].arguments == {
            "entity_type": "Shot",
            "filters": [],
            "filter_operator": "any",
            "include_archived_projects": False,
        }
        assert sg.calls[1].arguments["summary_fields"] == [{"field": "id", "type": "count"}]
        assert sg.calls[2] == ("rpc", {"method": "info", "payload": None})

    def test_what_the_official_client_does_by_itself_is_done_here_too(self):
        sg = FakeShotgun()
        assert sg.batch([]) == []
        assert sg.update("Shot", 1, {}) == {"type": "Shot", "id": 1}
        assert sg.calls == []
        with self.assertRaises(BadCall):  # noqa: PT027
            sg.find("Shot", [], filter_operator="neither")


if __name__ == "__main__":
    unittest.main()

"""What a handler does becomes the answer the daemon expects."""

import json
import unittest

from child import Child, handler, plugin


def outcome_of(body, **event):
    with Child(handler(body)) as child:
        child.start()
        child.event(**event)
        return child.read()


class Answers(unittest.TestCase):
    def test_returning_is_ok(self):
        assert outcome_of("pass")["result"] == {"status": "ok"}

    def test_what_is_raised_is_the_answer(self):
        for body, wanted in [
            ("raise Skip('not mine')", {"status": "skip", "reason": "not mine"}),
            ("return Skip('not mine')", {"status": "skip", "reason": "not mine"}),
            ("raise Dead('never')", {"status": "dead", "reason": "never"}),
            ("raise Retry(after=1.5, reason='soon')", {"status": "retry", "after_ms": 1500, "reason": "soon"}),
            ("raise Retry", {"status": "retry"}),
        ]:
            assert outcome_of(body)["result"] == wanted, body

    def test_a_failure_says_what_where_and_with_which_values(self):
        body = "class Bad:\n    def __repr__(self): raise OSError\napi_key, bad, shot = 'hush', Bad(), {'token': 'hush'}\n1 / 0"
        error = outcome_of(body)["error"]
        assert error["message"] == "ZeroDivisionError: division by zero"
        assert error["data"]["type"] == "ZeroDivisionError"
        assert "in on_event" in error["data"]["traceback"]
        assert "_serve.py" not in error["data"]["traceback"]
        assert error["data"]["locals"]["api_key"] == "********"
        assert "Bad" in error["data"]["locals"]["bad"]
        assert "hush" not in json.dumps(error)  # the source line that raised names none

    def test_half_a_surrogate_does_not_break_the_line(self):
        error = outcome_of(r"raise OSError('/shots/\udc80\ud800')")["error"]
        assert error["message"] == "OSError: /shots/??"

    def test_an_exception_without_text_still_answers(self):
        body = "class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute()"
        assert outcome_of(body)["error"]["data"]["type"] == "Mute"

    def test_the_next_attempt_runs_only_the_rest(self):
        source = plugin(
            "@plugin.on()\ndef first(event): plugin.log.warning('first')\n"
            "@plugin.on()\ndef second(event): raise ValueError('no')\n"
            "@plugin.on()\ndef third(event): plugin.log.warning('third')\n"
        )
        with Child(source) as child:
            child.start()
            child.event(match=["first", "second", "third"])
            assert child.read()["params"]["message"] == "first"
            progress = child.read()["error"]["data"]["progress"]
            assert progress == {"done": ["first"]}
            child.event(match=["first", "second", "third"], delivery={"attempt": 2, "progress": progress})
            assert child.read()["error"]["data"]["progress"] == progress

    def test_one_handler_that_skips_does_not_hide_one_that_works(self):
        source = plugin(
            "@plugin.on()\ndef first(event): raise Skip('x')\n@plugin.on()\ndef second(): plugin.log.error('ran')\n"
        )
        with Child(source) as child:
            child.start()
            child.event(match=["first", "second"])
            assert child.read()["params"]["message"] == "ran"
            assert child.read()["result"] == {"status": "ok"}
            child.event(match=["first"])
            assert child.read()["result"] == {"status": "skip", "reason": "x"}

    def test_without_match_the_plugin_looks_for_itself(self):
        source = handler("plugin.log.info('ran')", registered="@plugin.on('Shotgun_Task_Change', attributes=['a'])")
        with Child(source) as child:
            child.start()
            child.send("event", {"event": {"id": 1, "event_type": "Shotgun_Task_Change", "attribute_name": "b"}})
            assert child.read()["result"] == {"status": "ok"}
            child.send("event", {"event": {"id": 2, "event_type": "Shotgun_Task_Change", "attribute_name": "a"}})
            assert child.read()["params"]["message"] == "ran"

    def test_an_id_of_any_kind_comes_back(self):
        with Child(handler("pass")) as child:
            child.start()
            for request_id in ("a\u2028b", 3, 1.5):
                child.send("event", {"event": {"id": 1}, "delivery": {"match": ["on_event"]}}, id=request_id)
                assert child.read()["id"] == request_id


if __name__ == "__main__":
    unittest.main()

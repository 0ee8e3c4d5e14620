"""Calls to the daemon: one thread, many threads, dates, errors, state."""

import time
import unittest

from child import Child, handler


class OneThread(unittest.TestCase):
    def test_a_call_reads_until_its_own_answer(self):
        with Child(handler("plugin.log.info('%s', sg.find_one('Shot', [['id', 'is', 1]], ['code']))")) as child:
            child.start()
            event = child.event()
            call = child.read()
            child.notify("$/something", {})
            child.raw(b'{"jsonrpc":"2.0","id":999,"result":"of nobody"}\n')
            later = child.event()  # more than it asked for: laid aside, not lost
            child.reply(call, {"type": "Shot", "id": 1})
            assert call["method"] == "sg.find_one"
            assert call["params"] == {
                "entity_type": "Shot",
                "filters": [["id", "is", 1]],
                "fields": ["code"],
                "_meta": {"parent": event},
            }
            assert child.read()["params"]["message"] == "{'type': 'Shot', 'id': 1}"
            assert child.read()["id"] == event
            child.reply(child.read(), None)
            assert child.read()["params"]["message"] == "None"
            assert child.read()["id"] == later

    def test_dates_go_out_in_utc_and_come_back_aware(self):
        body = (
            "import datetime as d\n"
            "at = d.datetime(2026, 7, 2, 3, 4, 5)\n"
            "row = sg.create('Note', {'a': at, 'b': d.datetime(2026, 1, 2, tzinfo=d.timezone.utc), 'c': at.date()})\n"
            "plugin.log.info('%s %s %s', row['a'] == at.astimezone(), row['l'][0].isoformat(), row['n'])"
        )
        with Child(handler(body), env={"TZ": "America/New_York"}) as child:
            child.start()
            child.event()
            call = child.read()
            data = call["params"]["data"]
            assert data == {"a": "2026-07-02T07:04:05Z", "b": "2026-01-02T00:00:00Z", "c": "2026-07-02"}
            child.reply(call, dict(data, l=["2026-01-02T03:04:05Z"], n="2026-99-99T00:00:00Z"))
            assert child.read()["params"]["message"] == "True 2026-01-01T22:04:05-05:00 2026-99-99T00:00:00Z"

    def test_another_script_or_person_is_named_in_meta(self):
        with Child(handler("sg.as_script('b').as_user('ann').delete('Shot', 3)")) as child:
            child.start()
            event = child.event()
            call = child.read()
            child.reply(call, True)
            assert call["params"]["_meta"] == {"script": "b", "sudo_as_login": "ann", "parent": event}
            assert child.read()["id"] == event

    def test_each_error_has_its_class(self):
        body = "try:\n    sg.find('Shot', [])\nexcept Error as e:\n    plugin.log.info('%s %s', type(e).__name__, e)"
        rows = [
            (-32010, {"fault": {"code": 103}}, "Fault no"),
            (-32011, {"retry_after_ms": 5}, "Busy no"),
            (-32012, {"needed": "sg = ['find']"}, "PermissionDenied no; needed: sg = ['find']"),
            (-32015, {"sent": True}, "SiteUnavailable no"),
            (-32014, None, "TooLarge no"),
            (-32601, None, "NotSupported no"),
            (-1, None, "Error no"),
        ]
        with Child(handler(body)) as child:
            child.start()
            for code, data, wanted in rows:
                child.event()
                child.reply(child.read(), error={"code": code, "message": "no", "data": data})
                assert child.read()["params"]["message"] == wanted
                assert child.read()["result"] == {"status": "ok"}
            # The daemon's own words say it already, on one line.
            child.event()
            error = {"code": -32012, "message": "no; needed: a = 1 in [b]", "data": {"needed": "[b]\na = 1"}}
            child.reply(child.read(), error=error)
            assert child.read()["params"]["message"] == "PermissionDenied no; needed: a = 1 in [b]"
            assert child.read()["result"] == {"status": "ok"}

    def test_what_cannot_be_sent_is_said_at_once(self):
        for value in ("float('nan')", "{1, 2}", "object()", r"'\ud800'"):
            with Child(handler("sg.update('Shot', 1, {'a': " + value + "})")) as child:
                child.start()
                child.event()
                assert child.read()["error"]["data"]["type"] == "BadCall", value

    def test_state_is_kept_by_the_daemon(self):
        body = "n = plugin.state.get('n', 0)\nplugin.state.set('n', n + 1)\nplugin.state.delete('m')"
        with Child(handler(body)) as child:
            child.start()
            event = child.event()
            get = child.read()
            child.reply(get, {"value": None})
            put = child.read()
            child.reply(put, {})
            drop = child.read()
            child.reply(drop, {})
            assert (get["method"], get["params"]) == ("state.get", {"key": "n", "_meta": {"parent": event}})
            assert (put["method"], put["params"]["value"]) == ("state.set", 1)
            assert (drop["method"], drop["params"]["key"]) == ("state.delete", "m")
            assert child.read()["result"] == {"status": "ok"}

    def test_progress_and_alert_name_the_event(self):
        with Child(handler("plugin.progress('half', percent=50, extend=60)\nplugin.alert('look')")) as child:
            child.start()
            event = child.event()
            progress, alert = child.read(), child.read()
        assert progress["method"] == "$/progress"
        wanted = {"id": event, "message": "half", "percent": 50, "extend_ms": 60000, "_meta": {"parent": event}}
        assert progress["params"] == wanted
        assert (alert["method"], alert["params"]["message"]) == ("alert", "look")

    def test_a_handler_sees_that_it_was_cancelled(self):
        body = "plugin.log.info('on')\nwhile not event.cancelled: pass\nraise Retry(reason='cancelled')"
        with Child(handler(body)) as child:
            child.start()
            event = child.event()
            child.read()
            child.notify("$/cancel", {"id": event})
            assert child.read()["result"] == {"status": "retry", "reason": "cancelled"}

    def test_threads_of_the_author_may_call_too(self):
        body = (
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor(4) as pool:\n"
            "    plugin.log.info('%s', list(pool.map(lambda n: sg.find_one('Shot', [['id', 'is', n]]), range(4))))"
        )
        with Child(handler(body)) as child:
            child.start()
            event = child.event()
            for call in reversed([child.read() for _ in range(4)]):
                assert call["params"]["_meta"] == {"parent": event}
                child.reply(call, call["params"]["filters"][0][2])
            assert child.read()["params"]["message"] == "[0, 1, 2, 3]"
            assert child.read()["id"] == event

    def test_a_call_ends_when_the_daemon_does(self):
        with Child(handler("try: sg.find('Shot', [])\nexcept Disconnected: print('gone', file=sys.stderr)")) as child:
            child.start()
            child.event()
            child.read()
            code, words = child.end()
        assert (code, words.strip()) == (0, "gone")


class ManyThreads(unittest.TestCase):
    OPTIONS = ", max_in_flight=4, order='none'"

    def test_events_are_handled_at_once_and_calls_name_their_own(self):
        with Child(handler("sg.find('Shot', [['id', 'is', event.id]])", self.OPTIONS)) as child:
            child.start()
            for _ in range(20):
                events = [child.event(id=number) for number in range(4)]
                calls = [child.read() for _ in events]
                parents = {call["params"]["filters"][0][2]: call["params"]["_meta"]["parent"] for call in calls}
                assert parents == dict(enumerate(events))
                for call in reversed(calls):
                    child.reply(call, [])
                assert sorted(child.read()["id"] for _ in events) == events

    def test_a_slow_handler_holds_back_nobodys_answer(self):
        body = "if event.id == 0: sg.find('Shot', [])"
        with Child(handler(body, self.OPTIONS)) as child:
            child.start()
            line = b'{"jsonrpc":"2.0","id":%d,"method":"event","params":{"delivery":{"match":["on_event"]},"event":{"id":%d}}}\n'
            for round_ in range(50):
                first = 10 * round_
                ids = [(first + 1, 1), (first, 0), (first + 2, 2), (first + 3, 3)]
                child.raw(b"".join(line % pair for pair in ids))  # in one write: one batch
                seen = [child.read() for _ in range(4)]
                call = next(message for message in seen if "method" in message)
                assert sorted(m["id"] for m in seen if m is not call) == [first + 1, first + 2, first + 3]
                child.reply(call, [])
                assert child.read()["id"] == first

    def test_blocking_in_python_holds_back_nobody(self):
        body = "if event.id < 3: gate.wait()\nelse: gate.set()"
        source = handler(body, self.OPTIONS).replace("@plugin.on()", "gate = threading.Event()\n@plugin.on()")
        with Child(source) as child:
            child.start()
            ids = [child.event(id=number) for number in range(4)]
            assert sorted(child.read()["id"] for _ in ids) == ids

    def test_shutdown_waits_for_what_is_open(self):
        with Child(handler("sg.find('Shot', [])", self.OPTIONS)) as child:
            child.start()
            events = [child.event() for _ in range(3)]
            calls = [child.read() for _ in events]
            shutdown = child.send("shutdown")
            for call in calls:
                child.reply(call, [])
            assert sorted(child.read()["id"] for _ in events) == events
            assert child.read()["id"] == shutdown
            assert child.process.wait() == 0

    def test_exit_in_a_worker_ends_the_process(self):
        with Child(handler("if event.id: sg.find('Shot', [])\nsys.exit(3)", self.OPTIONS)) as child:
            child.start()
            child.event(id=1)
            child.read()
            child.event(id=0)
            began = time.monotonic()
            assert child.process.wait() == 3
            assert time.monotonic() - began < 10

    def test_hundreds_in_flight_with_calls_all_come_back(self):
        with Child(handler("sg.find('Shot', [])\nsg.find('Task', [])", ", max_in_flight=64, order='none'")) as child:
            child.start()
            open_, todo = set(), 600
            while todo or open_:
                while todo and len(open_) < 64:
                    open_.add(child.event())
                    todo -= 1
                message = child.read()
                if "method" in message:
                    child.reply(message, [])
                else:
                    open_.remove(message["id"])


if __name__ == "__main__":
    unittest.main()

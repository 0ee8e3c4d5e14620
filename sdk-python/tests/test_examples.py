"""The examples beside the SDK do what their READMEs say."""

import os
import subprocess
import sys
import unittest

from child import SDK, Child

EXAMPLES = os.path.join(os.path.dirname(SDK), "examples")
NOTE = {"event_type": "Shotgun_Note_New", "meta": {"entity_type": "Note", "entity_id": 6}}


def example(name, file):
    return os.path.join(EXAMPLES, name, file)


def change(status):
    meta = {"entity_type": "Task", "entity_id": 7, "new_value": status}
    return {"event_type": "Shotgun_Task_Change", "attribute_name": "sg_status_list", "meta": meta}


@unittest.skipUnless(os.path.isdir(EXAMPLES), "an installed SDK has no examples beside it")
class Examples(unittest.TestCase):
    def test_every_example_has_a_command_that_can_run_and_a_readme(self):
        names = sorted(os.listdir(EXAMPLES))
        assert len(names) >= 7, names
        for name in names:
            with open(example(name, "plugin.toml"), encoding="utf-8") as file:
                command = file.read().split('"')[1]
            assert command.startswith("../../target/") or os.access(example(name, command), os.X_OK), name
            with open(example(name, "README.md"), encoding="utf-8") as file:
                assert 4 <= len(file.readlines()) <= 7, name

    def test_task_status(self):
        with Child(path=example("task_status", "task_status.py")) as child:
            child.start()
            event = child.event(["on_status"], **change("fin"))
            shot = {"type": "Shot", "id": 860, "name": "sh010"}
            child.reply(child.read(), [{"type": "Task", "id": 7, "entity": shot}])
            child.reply(child.read(), [{"type": "Task", "id": 7, "sg_status_list": "fin"}])
            child.reply(child.read(), {"value": None})
            child.reply(child.read(), [dict(shot, sg_status_list="ip")])
            child.reply(child.read(), {})
            update = child.read()
            assert update["method"] == "sg.update"
            assert update["params"]["data"] == {"sg_status_list": "fin"}
            child.reply(update, shot)
            assert child.read()["method"] == "log"
            assert child.read() == {"jsonrpc": "2.0", "id": event, "result": {"status": "ok"}}

    def test_task_status_has_tests_that_pass(self):
        code = "import test_task_status as t\nfor n in dir(t):\n    if n.startswith('test_'): getattr(t, n)(); print(n)"
        folder = os.path.join(EXAMPLES, "task_status")
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([SDK, folder]), PYTHONDONTWRITEBYTECODE="1")
        text = subprocess.check_output([sys.executable, "-c", code], env=environment)
        assert text.count(b"test_") == 3

    def test_twenty_lines(self):
        with Child(path=example("twenty_lines", "twenty_lines.py")) as child:
            child.start()
            event = child.event(entity={"type": "Task", "id": 7})
            assert child.read() == {"jsonrpc": "2.0", "id": event, "result": {}}
            assert "'id': 7" in child.end()[1]

    def test_flaky_dies_until_it_is_mended(self):
        path = example("flaky", "flaky.py")
        with Child(path=path) as child:
            child.start()
            child.event(["on_status"], **change("ip"))
            assert child.read()["params"]["message"] == "task changed"
            child.read()
            child.event(["on_status"], **change("fin"))
            code, words = child.end()
            assert (code, "cannot bear" in words) == (70, True)
        with open(path, encoding="utf-8") as file:
            source = file.read()
        assert source.count('CRASH_ON = "fin"') == 1
        with Child(source.replace('CRASH_ON = "fin"', "CRASH_ON = None")) as child:
            child.start()
            child.event(["on_status"], **change("fin"))
            child.read()
            assert child.read()["result"] == {"status": "ok"}

    def test_shell_notes(self):
        trap = {"name": 'he said "entity_id":99, "event_type":"x" \\ %s $(id)\n', "id": 6, "type": "Note"}
        with Child(command=["sh", example("shell_notes", "shell_notes.sh")]) as child:
            assert child.start()["result"]["manifest"]["name"] == "shell_notes"
            for entity_first in (True, False):
                event = child.event(**(dict(entity=trap, **NOTE) if entity_first else dict(NOTE, entity=trap)))
                call = child.read()
                assert call["method"] == "sg.create"
                assert call["params"]["data"]["entity"] == {"type": "Note", "id": 6}
                assert call["params"]["_meta"] == {"parent": event}
                child.notify("$/cancel", {"id": call["id"]})
                child.reply(dict(call, id=4711), {"id": 1})  # of nobody
                child.reply(call, {"type": "Reply", "id": 8, "error": "only a member"})
                assert child.read() == {"jsonrpc": "2.0", "id": event, "result": {"status": "ok"}}
            event = child.event(event_type="Shotgun_Version_New", meta={"entity_id": 9})
            child.reply(child.read(), error={"code": -32012, "message": "no"})
            assert child.read()["error"]["message"].startswith("the site refused")
            event = child.event(event_type="Shotgun_Version_New", meta=None)
            assert child.read()["result"]["status"] == "skip"
            unknown = child.send("unheard_of", {})
            assert child.read()["id"] == unknown
            child.send("shutdown")
            child.read()
            assert child.process.wait() == 0


if __name__ == "__main__":
    unittest.main()

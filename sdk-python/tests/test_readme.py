"""The programs in README.md work, and what it names is there."""

import os
import re
import unittest

from child import SDK, Child

import sgeventd
from sgeventd import Event, Plugin, Shotgun

README = os.path.join(SDK, "README.md")


def read():
    with open(README, encoding="utf-8") as file:
        return file.read()


def programs():
    return re.findall(r"```python\n(.*?)```", read(), re.S)


def row(title):
    return next(line for line in read().split("\n") if line.startswith("| " + title))


@unittest.skipUnless(os.path.exists(README), "an installed SDK has no README beside it")
class Readme(unittest.TestCase):
    def test_the_plugin_runs(self):
        with Child(programs()[0]) as child:
            manifest = child.start()["result"]["manifest"]
            assert manifest["name"] == "task_status"
            match = [manifest["subscriptions"][0]["id"]]
            child.event(match, meta={"new_value": "ip", "entity_id": 7})
            assert child.read()["result"] == {"status": "skip", "reason": "not final"}
            event = child.event(match, meta={"new_value": "fin", "entity_id": 7})
            call = child.read()
            assert (call["method"], call["params"]["entity_id"]) == ("sg.update", 7)
            child.reply(call, {"type": "Task", "id": 7})
            assert child.read() == {"jsonrpc": "2.0", "id": event, "result": {"status": "ok"}}

    def test_its_test_passes(self):
        plugin, test = programs()
        names = {"__name__": "readme"}
        exec(compile(plugin, README, "exec"), names)
        exec(compile(test, README, "exec"), names)
        names["test_final"]()

    def test_every_name_in_its_tables_exists(self):
        for name in re.findall(r"\.(\w+)", row("`event`")):
            assert hasattr(Event, name) or name == "raw", name
        words = row("`sg`").split("|")[2]
        for name in re.findall(
            r"\w+_?\*|[a-z_]+", " ".join(re.findall(r"`([^`]*)`", words.split("with the official")[0]))
        ):
            assert any(method.startswith(name.rstrip("*")) for method in dir(Shotgun)), name
        for name in re.findall(r"\.(\w+)\(\)", row("`plugin.alert()")):
            assert callable(getattr(Plugin, name)), name
        for name in re.findall(r"[A-Z]\w+", row("errors of `sg`").split("|")[2].split(":")[0]):
            assert name in sgeventd.__all__, name


if __name__ == "__main__":
    unittest.main()

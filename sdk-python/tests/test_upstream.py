"""A file in upstream's style is called as upstream calls it."""

import datetime
import logging
import os
import sys
import tempfile
import types
import unittest

from sgeventd import upstream
from sgeventd.testing import FakeShotgun, make_event, run_handler

SEEN = types.ModuleType("what_was_seen")
FILE = """\
from what_was_seen import seen

class Counts:
    def __call__(self, *given):
        seen.append(("counts", given[3]))

def first(sg, logger, event, args):
    seen.append(("first", dict(event), args, logger.name))
    event["by"] = "first"
    sg.update("Task", event["entity"]["id"], {"description": "seen"})

def second(sg, logger, event, args):
    seen.append(("second", event["by"]))
    raise KeyError("broken")

def registerCallbacks(reg):
    reg.setEmails(["a@x", "b@x"], "c@x,d@x")
    reg.registerCallback("s", "k", first, {"Shotgun_Task_Change": "sg_status_list"}, args=reg)
    reg.registerCallback("s", "k", second, {"Shotgun_Task_Change": ["sg_status_list"]}, None, STOPS)
    reg.registerCallback("s", "k", Counts(), {"*": ["sg_status_list", 1]}, 3)
"""


def load(text):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "old_style.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return upstream.load(path)


def change(attribute="sg_status_list"):
    return make_event("Shotgun_Task_Change", attribute, entity={"type": "Task", "id": 7}, new_value="fin")


class Upstream(unittest.TestCase):
    def run_file(self, stops):
        SEEN.seen = []
        sys.modules["what_was_seen"] = SEEN
        logging.getLogger("plugin").addHandler(logging.NullHandler())
        plugin = load(FILE.replace("STOPS", str(stops)))
        sg = FakeShotgun().expect("update", {}, entity_type="Task", entity_id=7)
        return plugin, run_handler(plugin, change(), sg=sg), SEEN.seen

    def test_a_callback_that_fails_stops_the_file_at_the_event(self):
        plugin, outcome, seen = self.run_file(True)
        assert (outcome.status, [one[0] for one in seen]) == ("failed", ["first", "second"])
        assert isinstance(outcome.error, KeyError)
        manifest = plugin.manifest()
        assert manifest["delivery"] == {"on_error": "stop"}
        assert manifest["alerts"] == {"emails": ["a@x", "b@x", "c@x", "d@x"]}
        assert "events" not in manifest["subscriptions"][0], "one callback wants every type"

    def test_one_that_may_fail_is_told_of_and_the_next_goes_on(self):
        _, outcome, seen = self.run_file(False)
        assert (outcome.status, [one[0] for one in seen]) == ("ok", ["first", "second", "counts"])
        assert "KeyError" in outcome.notices[0][1]["message"]

    def test_what_a_callback_is_given(self):
        _, _, seen = self.run_file(False)
        _, event, args, logger = seen[0]
        assert set(event) == set(upstream._KEYS)
        assert isinstance(event["created_at"], datetime.datetime)
        assert isinstance(args, upstream.Registrar)
        assert (logger, seen[1], seen[2]) == ("plugin.old_style.first", ("second", "first"), ("counts", 3))

    def test_filters(self):
        change_of = {"event_type": "A_Change", "attribute_name": "sg_status_list"}
        new = {"event_type": "A_New", "attribute_name": None}
        for matches, event, wanted in [
            (None, new, True),
            ({}, new, True),
            ([], change_of, True),
            ({"A_Change": None}, change_of, True),
            ({"A_Change": ["*"]}, change_of, True),
            ({"A_Change": ["x", "sg_status_list"]}, change_of, True),
            ({"A_Change": []}, change_of, False),
            ({"A_Change": ["id", 1]}, change_of, False),
            ({"A_Change": "sg_status_list"}, change_of, True),
            ({"A_Change": "sg_status_list, other"}, change_of, True),
            ({"A_Change": "other"}, change_of, False),
            ({"A_New": ["x"]}, new, False),
            ({"B_New": None}, new, False),
            ({"*": ["x"], "A_Change": None}, change_of, False),
            (["A_Change"], change_of, True),
            ("A_Change", new, False),
        ]:
            assert upstream._wants(matches, event) is wanted, (matches, event)

    def test_a_file_that_registers_nothing_is_a_plugin_that_gets_nothing(self):
        assert load("def registerCallbacks(reg): pass").manifest()["subscriptions"] == []
        with self.assertRaisesRegex(AttributeError, "registerCallbacks"):  # noqa: PT027
            load("x = 1")

    def test_what_upstream_refuses(self):
        reg = upstream.Registrar("p")
        for arguments in [("s", None, print), (None, "k", print), ("", "", print)]:
            with self.assertRaises(ValueError):  # noqa: PT027
                reg.registerCallback(*arguments)
        with self.assertRaises(TypeError):  # noqa: PT027
            reg.registerCallback("s", "k", "no function")


if __name__ == "__main__":
    unittest.main()

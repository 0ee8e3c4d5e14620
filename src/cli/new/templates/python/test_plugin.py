"""The plugin's test: no daemon, no site."""

import unittest

from plugin import plugin

from sgeventd.testing import FakeShotgun, make_event, run_handler

TASK = {"type": "Task", "id": 7, "name": "comp"}
FOUND = {"type": "Task", "id": 7, "content": "comp", "entity": {"type": "Shot", "id": 860, "name": "sh010"}}


def change(status):
    return make_event("Shotgun_Task_Change", "sg_status_list", entity=TASK, new_value=status)


class Test(unittest.TestCase):
    def test_a_final_task_is_logged(self):
        sg = FakeShotgun().expect("find_one", FOUND, entity_type="Task")
        outcome = run_handler(plugin, change("fin"), sg=sg)
        self.assertEqual(outcome.check().status, "ok")
        self.assertIn(("info", "task is fin: comp of sh010"), outcome.logs)

    def test_another_status_is_skipped_without_a_call(self):
        self.assertEqual(run_handler(plugin, change("ip")).status, "skip")

    def test_the_config_says_which_status(self):
        sg = FakeShotgun().expect("find_one", None)
        outcome = run_handler(plugin, change("apr"), sg=sg, config={"status": "apr"})
        self.assertEqual((outcome.status, outcome.reason), ("skip", "the Task is gone"))


if __name__ == "__main__":
    unittest.main()

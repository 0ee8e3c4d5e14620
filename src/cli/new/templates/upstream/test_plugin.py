"""The test of my_plugin.py: no daemon, no site."""

import os
import unittest

from sgeventd import upstream
from sgeventd.testing import FakeShotgun, make_event, run_handler

plugin = upstream.load(os.path.join(os.path.dirname(os.path.abspath(__file__)), "my_plugin.py"))
TASK = {"type": "Task", "id": 7, "name": "comp"}
FOUND = {"type": "Task", "id": 7, "content": "comp", "entity": {"type": "Shot", "id": 860, "name": "sh010"}}


def change(status):
    return make_event("Shotgun_Task_Change", "sg_status_list", entity=TASK, new_value=status)


class Test(unittest.TestCase):
    def test_a_final_task_is_logged(self):
        sg = FakeShotgun().expect("find_one", FOUND, entity_type="Task")
        with self.assertLogs("plugin", "INFO") as logs:
            self.assertEqual(run_handler(plugin, change("fin"), sg=sg).check().status, "ok")
        self.assertIn("task is fin: comp of sh010", logs.output[0])

    def test_another_status_makes_no_call(self):
        self.assertEqual(run_handler(plugin, change("ip")).check().status, "ok")


if __name__ == "__main__":
    unittest.main()

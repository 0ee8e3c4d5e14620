"""How a plugin is tested: no daemon, no site."""

from task_status import plugin

from sgeventd.testing import FakeShotgun, make_event, run_handler

TASK = {"type": "Task", "id": 7, "name": "comp"}
SHOT = {"type": "Shot", "id": 860, "name": "sh010"}


def status_event(status):
    return make_event("Shotgun_Task_Change", "sg_status_list", entity=TASK, old_value="ip", new_value=status)


def test_the_last_task_makes_the_shot_final():
    sg = FakeShotgun()
    sg.expect("find", [dict(TASK, entity=SHOT)], entity_type="Task")
    sg.expect("find", [{"type": "Task", "id": 7, "sg_status_list": "fin"}], entity_type="Task")
    sg.expect("find", [dict(SHOT, sg_status_list="ip")], entity_type="Shot")
    sg.expect("update", SHOT, entity_type="Shot", entity_id=860, data={"sg_status_list": "fin"})
    outcome = run_handler(plugin, status_event("fin"), sg=sg)
    assert (outcome.check().status, outcome.state, sg.left()) == ("ok", {"shot:860": "ip"}, [])


def test_a_reopened_task_gives_the_shot_its_old_status_back():
    sg = FakeShotgun()
    sg.expect("find", [dict(TASK, entity=SHOT)], entity_type="Task")
    sg.expect("find", [{"type": "Task", "id": 7, "sg_status_list": "ip"}], entity_type="Task")
    sg.expect("update", SHOT, data={"sg_status_list": "hld"})
    outcome = run_handler(plugin, status_event("ip"), sg=sg, state={"shot:860": "hld"})
    assert (outcome.check().status, outcome.state, sg.left()) == ("ok", {}, [])


def test_a_task_of_an_asset_is_skipped():
    sg = FakeShotgun().expect("find", [dict(TASK, entity={"type": "Asset", "id": 1, "name": "x"})])
    assert run_handler(plugin, status_event("fin"), sg=sg).status == "skip"

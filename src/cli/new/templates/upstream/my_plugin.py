"""my_plugin: logs each Task that gets a certain status. Runs under shotgunEvents and, unchanged, under sgeventd."""

SCRIPT_NAME = "my_plugin"  # shotgunEvents signs in with these; under sgeventd the daemon holds the key
SCRIPT_KEY = "not needed under sgeventd"


def registerCallbacks(reg):
    """Says what it wants: shotgunEvents and sgeventd call this once."""
    matches = {"Shotgun_Task_Change": ["sg_status_list"]}
    reg.registerCallback(SCRIPT_NAME, SCRIPT_KEY, on_status, matches, {"status": "fin"})


def on_status(sg, logger, event, args):
    """Runs once for each change of a Task's status."""
    if event["meta"].get("new_value") != args["status"]:
        return
    task = sg.find_one("Task", [["id", "is", event["meta"]["entity_id"]]], ["content", "entity"])
    if task is None:
        logger.info("the Task is gone")
        return
    of = (task["entity"] or {}).get("name", "nothing")
    logger.info("task is %s: %s of %s", args["status"], task["content"], of)

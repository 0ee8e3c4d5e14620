#!/usr/bin/env python3
"""my_plugin: logs each Task that gets a certain status, with what it is a Task of."""

try:
    from sgeventd import Event, Plugin, Shotgun, Skip
except ModuleNotFoundError:  # the daemon brings the package; by hand, say where it is
    raise SystemExit("run it so: PYTHONPATH=$(sgeventd sdk python) python3 plugin.py; or: sgeventd check .") from None

plugin = Plugin(
    name="my_plugin",
    version="0.1.0",
    description="Logs each Task that gets a certain status.",
    permissions={"sg": ["find:Task"]},  # what it may ask of the site; the operator may allow less
)


@plugin.on("Shotgun_Task_Change", attributes=["sg_status_list"], where=[["user", "is_not", "self"]])
def on_status(event: Event, sg: Shotgun) -> None:
    """Runs once for each change of a Task's status, but for those that this plugin wrote itself."""
    status = plugin.config.get("status", "fin")  # [plugin.my_plugin] config = { status = "…" }
    if event.meta.get("new_value") != status:
        raise Skip(f"the status is not {status}")
    task = sg.find_one("Task", [["id", "is", event.meta["entity_id"]]], ["content", "entity"])
    if task is None:
        raise Skip("the Task is gone")
    of = (task["entity"] or {}).get("name", "nothing")
    plugin.log.info("task is %s: %s of %s", status, task["content"], of)


if __name__ == "__main__":
    plugin.run()

#!/usr/bin/env python3
"""Sets a Shot to final when its last Task becomes final, and back when a Task is reopened."""

from sgeventd import Event, Plugin, Shotgun, Skip

plugin = Plugin(
    name="task_status",
    version="1.0.0",
    description="A Shot is final when all of its Tasks are.",
    permissions={"sg": ["find", "update:Shot.sg_status_list"]},
)


@plugin.on(
    "Shotgun_Task_Change",
    attributes=["sg_status_list"],
    where=[["user", "is_not", "self"], ["meta.in_create", "is_not", True]],
)
def on_status(event: Event, sg: Shotgun) -> None:
    """Looks at all Tasks of the Shot whenever the status of one changes."""
    final = plugin.config.get("final", "fin")  # [plugins.task_status.config] final = "…"
    tasks = sg.find("Task", [["id", "is", event.meta["entity_id"]]], ["entity"])
    shot = tasks[0]["entity"] if tasks else None
    if not shot or shot["type"] != "Shot":
        raise Skip("not a Task of a Shot")

    siblings = sg.find("Task", [["entity", "is", {"type": "Shot", "id": shot["id"]}]], ["sg_status_list"])
    is_done = all(task["sg_status_list"] in (final, "omt") for task in siblings)
    # The status the Shot had before: with it we can undo what we did, and only that.
    key = f"shot:{shot['id']}"
    before = plugin.state.get(key)

    if is_done and before is None:
        now = sg.find("Shot", [["id", "is", shot["id"]]], ["sg_status_list"])[0]["sg_status_list"]
        if now == final:
            return
        plugin.state.set(key, now)
        sg.update("Shot", shot["id"], {"sg_status_list": final})
        plugin.log.info("shot is final", extra={"shot": shot["name"], "tasks": len(siblings)})
    elif is_done:
        # We were here before: either all is well, or we were cut off between the two lines above.
        sg.update("Shot", shot["id"], {"sg_status_list": final})
    elif before is not None:
        sg.update("Shot", shot["id"], {"sg_status_list": before})
        plugin.state.delete(key)
        plugin.log.info("shot is open again", extra={"shot": shot["name"], "status": before})


if __name__ == "__main__":
    plugin.run()

#!/usr/bin/env python3
"""Crashes on purpose, to show what the daemon does about it."""

import os
import sys

from sgeventd import Event, Plugin

CRASH_ON = "fin"  # the bug: make it None, save, and watch the plugin come back

plugin = Plugin(
    name="flaky",
    version="1.0.0",
    description="Dies when a Task becomes final, until somebody mends it.",
    on_error="stop",  # after two crashes on one event: disabled at it, and nothing is skipped
)


@plugin.on("Shotgun_Task_Change", attributes=["sg_status_list"])
def on_status(event: Event) -> None:
    """Logs the change, or takes the whole process down like a broken native library would."""
    status = event.meta.get("new_value")
    if CRASH_ON and status == CRASH_ON:
        print(f"flaky: cannot bear {status!r}, dying at event {event.id}", file=sys.stderr, flush=True)
        os._exit(70)
    plugin.log.info("task changed", extra={"task": event.meta.get("entity_id"), "status": status})


if __name__ == "__main__":
    plugin.run()

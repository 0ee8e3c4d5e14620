"""sgeventd: write a plugin for the event daemon in a few lines of Python.

Example::

    from sgeventd import Event, Plugin, Shotgun

    plugin = Plugin(name="task_status")

    @plugin.on("Shotgun_Task_Change", attributes=["sg_status_list"])
    def on_status(event: Event, sg: Shotgun) -> None:
        sg.update("Task", event.entity["id"], {"description": "seen"})

    if __name__ == "__main__":
        plugin.run()
"""

from ._errors import (
    BadCall,
    Busy,
    Cancelled,
    Dead,
    Disable,
    Disconnected,
    Error,
    Fault,
    NotStarted,
    NotSupported,
    Outcome,
    PermissionDenied,
    Retry,
    SiteUnavailable,
    Skip,
    TooLarge,
    UnknownParent,
)
from ._event import Event
from ._plugin import Paths, Plugin
from ._shotgun import Shotgun
from ._state import State

__version__ = "0.1.0"

__all__ = [
    "BadCall",
    "Busy",
    "Cancelled",
    "Dead",
    "Disable",
    "Disconnected",
    "Error",
    "Event",
    "Fault",
    "NotStarted",
    "NotSupported",
    "Outcome",
    "Paths",
    "PermissionDenied",
    "Plugin",
    "Retry",
    "Shotgun",
    "SiteUnavailable",
    "Skip",
    "State",
    "TooLarge",
    "UnknownParent",
    "__version__",
]

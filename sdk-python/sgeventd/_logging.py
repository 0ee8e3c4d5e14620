"""The standard `logging`, into the daemon's log of this plugin.

In: log records of any logger. Out: `log` notifications with the event they belong to.
Never: an exception towards the code that logs.
"""

import logging
from typing import Any, Callable, Dict, Optional

from ._failure import describe, headline

_MESSAGE_CHARS = 32000
_LEVELS = {"trace": logging.DEBUG, "debug": logging.DEBUG, "info": logging.INFO}
_LEVELS.update({"warn": logging.WARNING, "warning": logging.WARNING, "error": logging.ERROR})
# What every record has; anything else was given as `extra=` and becomes a field.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class DaemonHandler(logging.Handler):
    """Hands records to the daemon.

    Args:
        notify: sends one notification.
    """

    def __init__(self, notify: Callable[[str, Dict[str, Any]], None]) -> None:
        super().__init__()
        self._notify = notify

    def emit(self, record: logging.LogRecord) -> None:
        """Sends one record; extra attributes become fields."""
        try:
            fields = {name: value for name, value in vars(record).items() if name not in _USUAL}
            fields["logger"] = record.name
            if record.exc_info and record.exc_info[1] is not None:
                fields["error"] = headline(record.exc_info[1])
                fields["traceback"] = describe(record.exc_info[1])["traceback"]
            message = record.getMessage()[:_MESSAGE_CHARS]
            self._notify("log", {"level": _word(record.levelno), "message": message, "fields": fields})
        except Exception:
            self.handleError(record)


def install(notify: Callable[[str, Dict[str, Any]], None]) -> None:
    """Makes the daemon the target of the root logger, and so of every logger."""
    root = logging.getLogger()
    root.addHandler(DaemonHandler(notify))
    root.setLevel(logging.INFO)


def set_level(word: Optional[str]) -> None:
    """Follows the operator's `log_level`."""
    logging.getLogger().setLevel(_LEVELS.get(str(word).lower(), logging.INFO))


def _word(level: int) -> str:
    if level >= logging.ERROR:
        return "error"
    if level >= logging.WARNING:
        return "warn"
    return "info" if level >= logging.INFO else "debug"

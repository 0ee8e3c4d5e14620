"""What may be raised, by whom, and what it means.

::

    Exception
    ├── Outcome                 raised BY a handler: not a failure, an answer
    │   ├── Skip                "not for me": counted apart
    │   ├── Retry               "again later": costs an attempt
    │   └── Dead                "never again": kept as a dead letter
    ├── Disable                 raised by @plugin.on_start (or a handler): "do not run me", with the reason
    └── Error                   raised TO a handler by a call to the daemon
        ├── Fault               the site refused the call: bad field, bad filter, no such entity
        ├── PermissionDenied    the operator did not grant it; .needed is what to write into the config
        ├── Busy                too many calls under way; .retry_after says when (seconds)
        ├── SiteUnavailable     the site is away; .sent is True when a write may have happened
        ├── TooLarge            a result, a value or a message above its limit
        ├── NotSupported        this daemon does not offer the call
        ├── BadCall             the arguments cannot be right
        ├── Cancelled           the call was cancelled
        ├── NotStarted          only reads and logging are served before `start`
        ├── UnknownParent       several events are open and the call does not say to which it belongs
        └── Disconnected        the daemon has gone, or is going

A handler that lets an ``Error`` through has failed; the daemon decides what follows (``on_error``), and does
not charge the attempt while the site is away.

In: error objects of the protocol. Out: exceptions.
Never: the pipe.
"""

from typing import Any, Dict, Mapping, Optional, Type


class Outcome(Exception):
    """An answer that a handler gives by raising it."""

    status = "ok"

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason

    def answer(self) -> Dict[str, Any]:
        """Returns the answer as it goes to the daemon."""
        found: Dict[str, Any] = {"status": self.status}
        if self.reason:
            found["reason"] = self.reason
        return found


class Skip(Outcome):
    """The event is not for this plugin; counted apart from what was done.

    Args:
        reason: one sentence for the operator.
    """

    status = "skip"


class Dead(Outcome):
    """The event can never be handled; it becomes a dead letter that an operator may look at.

    Args:
        reason: one sentence for the operator.
    """

    status = "dead"


class Retry(Outcome):
    """The event should come again later. It costs an attempt.

    Args:
        after: seconds to wait, an hour at most; None leaves it to the plugin's schedule.
        reason: one sentence for the operator.
    """

    status = "retry"

    def __init__(self, after: Optional[float] = None, reason: str = "") -> None:
        super().__init__(reason)
        if after is not None and not isinstance(after, (int, float)):
            raise TypeError(f"Retry(after=…) takes seconds, found {after!r}; a reason is Retry(reason=…)")
        self.after = after

    def answer(self) -> Dict[str, Any]:
        """Returns the answer as it goes to the daemon."""
        found = super().answer()
        if self.after is not None:
            found["after_ms"] = max(0, int(self.after * 1000))
        return found


class Disable(Exception):
    """The plugin must not run here: wrong site, missing licence.

    Args:
        reason: what the operator reads, and what to do about it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Error(Exception):
    """A call to the daemon failed.

    Attributes:
        code: the number of the protocol, 0 when the error was found on this side.
        data: what the daemon said besides the message.
    """

    def __init__(self, message: str, *, code: int = 0, data: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(message)
        self.code = code
        self.data: Mapping[str, Any] = data if isinstance(data, Mapping) else {}


class Fault(Error):
    """The site refused the call."""

    @property
    def fault(self) -> Any:
        """What the site said, as it said it."""
        return self.data.get("fault")


class PermissionDenied(Error):
    """The operator did not grant what the call needs."""

    @property
    def needed(self) -> Optional[str]:
        """What to write into the config: a section and its key, or a member of the manifest."""
        needed = self.data.get("needed")
        return None if needed is None else str(needed)

    def __str__(self) -> str:
        text = super().__str__()
        return text if not self.needed or "; needed: " in text else f"{text}; needed: {self.needed}"


class Busy(Error):
    """Too many calls of this plugin are under way."""

    @property
    def retry_after(self) -> float:
        """Seconds after which it is worth another try."""
        return float(self.data.get("retry_after_ms") or 1000) / 1000


class SiteUnavailable(Error):
    """The site could not be reached, or not in time."""

    @property
    def sent(self) -> bool:
        """True when it was a write and some of it left: it may have happened."""
        return bool(self.data.get("sent"))


class TooLarge(Error):
    """A result, a value or a message is above its limit."""


class NotSupported(Error):
    """This daemon does not offer the call."""


class BadCall(Error):
    """The arguments of a call cannot be right."""


class Cancelled(Error):
    """The call was cancelled."""


class NotStarted(Error):
    """Before `start` only reads and logging are served."""


class UnknownParent(Error):
    """Several events are open, and the call does not say to which it belongs."""


class Disconnected(Error):
    """The daemon has gone, or is going."""


_BY_CODE: Dict[int, Type[Error]] = {
    -32601: NotSupported,
    -32602: BadCall,
    -32800: Cancelled,
    -32001: NotStarted,
    -32003: Disconnected,
    -32010: Fault,
    -32011: Busy,
    -32012: PermissionDenied,
    -32013: UnknownParent,
    -32014: TooLarge,
    -32015: SiteUnavailable,
}


def from_wire(error: Any) -> Error:
    """Returns the exception for the `error` member of an answer."""
    if not isinstance(error, dict):
        return Error(f"the daemon answered with an error that is no object: {error!r}")
    code = error.get("code")
    code = code if isinstance(code, int) else 0
    return _BY_CODE.get(code, Error)(str(error.get("message") or f"error {code}"), code=code, data=error.get("data"))

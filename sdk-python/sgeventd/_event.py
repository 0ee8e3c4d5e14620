"""One event as a handler sees it.

In: the params of an `event` request. Out: names for what is in them, computed when asked for.
Never: a copy of the event; what is not asked for costs nothing.
"""

import datetime
import time
from typing import Any, Callable, Dict, Iterator, Mapping, Optional

from . import _dates


class Event(Mapping[str, Any]):
    """An `EventLogEntry`, readable as a mapping (`event["meta"]`) and by name (`event.meta`).

    It cannot be changed. `raw` is the entry as the site wrote it, dates as text.
    """

    __slots__ = ("_cancelled", "_params", "_poll", "_received", "raw", "request_id")

    def __init__(
        self, params: Mapping[str, Any], request_id: Any = None, poll: Optional[Callable[[], None]] = None
    ) -> None:
        self.raw: Dict[str, Any] = params["event"]
        self.request_id = request_id
        self._params = params
        self._poll = poll
        self._received = time.monotonic()
        self._cancelled = False

    # The entry.

    @property
    def id(self) -> int:
        """The site's number of the event; the key under which work is done only once."""
        found: int = self.raw["id"]
        return found

    @property
    def event_type(self) -> str:
        """For instance `Shotgun_Task_Change`."""
        found: str = self.raw["event_type"]
        return found

    @property
    def attribute_name(self) -> Optional[str]:
        """The field that changed; None for new, retired and revived entities."""
        return self.raw.get("attribute_name")

    @property
    def meta(self) -> Dict[str, Any]:
        """What changed: `old_value`, `new_value`, `entity_type`, …; empty when the site wrote none."""
        return self.raw.get("meta") or {}

    @property
    def entity(self) -> Optional[Dict[str, Any]]:
        """What the event is about, `{type, id, name}`; None when it was deleted since (then see `meta`)."""
        return self.raw.get("entity")

    @property
    def project(self) -> Optional[Dict[str, Any]]:
        """The project, `{type, id, name}`; None for what belongs to the whole site."""
        return self.raw.get("project")

    @property
    def user(self) -> Optional[Dict[str, Any]]:
        """Who did it: a `HumanUser`, `ApiUser` or `ClientUser`."""
        return self.raw.get("user")

    @property
    def session_uuid(self) -> Optional[str]:
        """The browser session it came from; our own writes refresh that page."""
        return self.raw.get("session_uuid")

    @property
    def created_at(self) -> Optional[datetime.datetime]:
        """When it was written, aware, in the local zone."""
        text = self.raw.get("created_at")
        return _dates.parse(text) if isinstance(text, str) else None

    # The delivery.

    @property
    def delivery(self) -> Mapping[str, Any]:
        """What the daemon says about this attempt, as it said it."""
        return self._params.get("delivery") or {}

    @property
    def attempt(self) -> int:
        """1 at first; more says that it was tried before."""
        return int(self.delivery.get("attempt") or 1)

    @property
    def replay(self) -> bool:
        """True when an operator asked for it once more."""
        return bool(self.delivery.get("replay"))

    @property
    def behind(self) -> int:
        """How many events stand behind this one in the daemon's journal."""
        return int(self.delivery.get("behind") or 0)

    @property
    def deadline(self) -> Optional[float]:
        """When the answer must be there, on the clock of `time.monotonic()`; None without one."""
        budget_ms = self.delivery.get("deadline_ms")
        return None if budget_ms is None else self._received + budget_ms / 1000

    @property
    def cancelled(self) -> bool:
        """True when the daemon gave up waiting. The handler should return, or raise, at once."""
        if not self._cancelled and self._poll is not None:
            self._poll()
        return self._cancelled

    @property
    def traceparent(self) -> Optional[str]:
        """The W3C trace context of this delivery."""
        return (self._params.get("_meta") or {}).get("traceparent")

    def cancel(self) -> None:
        """Marks the event as cancelled: for the daemon's message, and for tests."""
        self._cancelled = True

    # The mapping.

    def __getitem__(self, key: str) -> Any:
        return self.raw[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __hash__(self) -> int:
        return hash(self.raw.get("id"))

    def __repr__(self) -> str:
        entity = self.entity or {}
        return "<Event {} {} {} of {} {}>".format(
            self.raw.get("id"),
            self.raw.get("event_type"),
            self.attribute_name,
            entity.get("type"),
            entity.get("id"),
        )

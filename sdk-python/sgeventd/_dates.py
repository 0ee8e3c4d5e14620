"""Dates as the official client shows them: aware on this side, UTC text on the wire.

In: JSON from the site; values from a handler. Out: the other one.
Never: plain dates (`2026-01-31` stays text), fractions of a second.
"""

import datetime
from typing import Any, Optional

_UTC = datetime.timezone.utc


def parse(text: str) -> Optional[datetime.datetime]:
    """Returns the moment that `YYYY-MM-DDTHH:MM:SSZ` names, in the local zone; None when it is not one."""
    if len(text) != 20 or text[10] != "T" or text[19] != "Z":
        return None
    try:
        naive = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
        return naive.replace(tzinfo=_UTC).astimezone()
    except (ValueError, OverflowError, OSError):  # an impossible date stays text
        return None


def inbound(value: Any) -> Any:
    """Returns the value with every string that is a moment, at any depth, turned into a datetime.

    Lists and dicts are changed in place: they were parsed a moment ago and belong to nobody else.
    """
    if isinstance(value, str):
        return parse(value) or value
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (str, dict, list)):
                value[key] = inbound(item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, (str, dict, list)):
                value[index] = inbound(item)
    return value


def outbound(value: Any) -> str:
    """Returns a date, time or datetime as the site wants it: the `default` hook of the JSON encoder.

    A naive datetime is local time, a bare time is today's.

    Raises:
        TypeError: the value is nothing the site knows.
    """
    if isinstance(value, datetime.datetime):
        return value.astimezone(_UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, datetime.date):
        return value.strftime("%Y-%m-%d")
    if isinstance(value, datetime.time):
        return outbound(datetime.datetime.combine(datetime.date.today(), value))
    raise TypeError(f"{type(value).__name__} cannot be sent to the site: {value!r:.200}")

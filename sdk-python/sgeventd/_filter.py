"""Does a subscription want an event? The daemon decides that; this is for tests of plugins, offline.

In: a subscription of the manifest, an event. Out: yes or no.
Never: a difference from the daemon's rules (protocol, section 2).
"""

from typing import Any, Callable, Dict, List

_RELATIONS: Dict[str, Callable[[Any, Any], bool]] = {
    "is": lambda found, wanted: _same(found, wanted),
    "is_not": lambda found, wanted: not _same(found, wanted),
    "in": lambda found, wanted: any(_same(found, one) for one in wanted),
    "not_in": lambda found, wanted: not any(_same(found, one) for one in wanted),
    "starts_with": lambda found, wanted: isinstance(found, str) and found.startswith(wanted),
    "ends_with": lambda found, wanted: isinstance(found, str) and found.endswith(wanted),
    "contains": lambda found, wanted: isinstance(found, (str, list)) and wanted in found,
    "exists": lambda found, wanted: (found is not None) == wanted,
}
_PLAIN = ("id", "event_type", "attribute_name", "created_at", "session_uuid")
_LINKS = ("project", "entity", "user")


def matches(subscription: Dict[str, Any], event: Dict[str, Any]) -> bool:
    """Returns whether the subscription wants the event."""
    return _wants(subscription.get("events"), event) and all(
        _holds(path, relation, wanted, event) for path, relation, wanted in subscription.get("where") or ()
    )


def check(where: List[Any]) -> None:
    """Looks for what the daemon would refuse.

    Raises:
        ValueError: an unknown path or relation, with what is allowed.
    """
    for clause in where:
        if len(clause) != 3:
            raise ValueError(f"where: {clause!r} is not [path, relation, value]")
        path, relation, value = clause
        link, _, member = path.partition(".")
        known = path in _PLAIN or (link in _LINKS and member in ("id", "type", "name"))
        if not (known or path == "user" or (link == "meta" and member)):
            allowed = ", ".join(_PLAIN) + ", {project|entity|user}.{id|type|name}, meta.<key>"
            raise ValueError(f"where: unknown path {path!r}; allowed: {allowed}")
        if relation not in _RELATIONS:
            raise ValueError("where: unknown relation {!r}; allowed: {}".format(relation, ", ".join(_RELATIONS)))
        if relation in ("in", "not_in") and isinstance(value, str):
            raise ValueError(f"where: {relation!r} needs a list, found {value!r}")


def _wants(events: Any, event: Dict[str, Any]) -> bool:
    if events is None:
        return True
    kind = "*" if "*" in events else event.get("event_type")
    if kind not in events:
        return False
    attributes = events[kind]
    return attributes is None or "*" in attributes or event.get("attribute_name") in attributes


def _holds(path: str, relation: str, wanted: Any, event: Dict[str, Any]) -> bool:
    return _RELATIONS[relation](_value(path, event), wanted)


def _value(path: str, event: Dict[str, Any]) -> Any:
    head, _, member = path.partition(".")
    meta = event.get("meta") or {}
    if not member:
        return event.get(head)
    if head == "meta":
        return meta.get(member)
    link = event.get(head)
    if link is None and head == "entity" and "actual_attribute_changed" not in meta:
        return meta.get("entity_" + member)
    return (link or {}).get(member)


def _same(found: Any, wanted: Any) -> bool:
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)

"""Call a handler from a test: a made-up event, a scripted site, no daemon.

Example:
    >>> from sgeventd import Plugin
    >>> from sgeventd.testing import FakeShotgun, make_event, run_handler
    >>> plugin = Plugin(name="hello")
    >>> @plugin.on("Shotgun_Task_Change")
    ... def on_task(event, sg):
    ...     shot = sg.find_one("Shot", [["id", "is", 860]], ["code"])
    ...     sg.update("Task", event.entity["id"], {"description": shot["code"]})
    >>> sg = FakeShotgun()
    >>> _ = sg.expect("find_one", {"type": "Shot", "id": 860, "code": "sh010"}, entity_type="Shot")
    >>> _ = sg.expect("update", {"type": "Task", "id": 7}, data={"description": "sh010"})
    >>> event = make_event("Shotgun_Task_Change", entity={"type": "Task", "id": 7})
    >>> outcome = run_handler(plugin, event, sg=sg)
    >>> outcome.status, sg.left()
    ('ok', [])

In: a plugin, an event, what the site would answer. Out: what the handler did.
Never: a process, a pipe, a network.
"""

import itertools
import json
import logging
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from . import _dates, _wire
from ._event import Event
from ._failure import describe
from ._filter import matches
from ._plugin import Plugin
from ._run import Failed, run
from ._shotgun import Shotgun

__all__ = ["Call", "FakeShotgun", "Outcome", "UnexpectedCall", "make_event", "run_handler"]

_ids = itertools.count(1_000_001)


class Call(NamedTuple):
    """One call that the handler made: the method without `sg.`, the arguments as they would be sent."""

    method: str
    arguments: Dict[str, Any]


class UnexpectedCall(AssertionError):
    """The handler called something that was not scripted."""


class FakeShotgun(Shotgun):
    """A site that answers what it was told to answer, and keeps a list of what it was asked.

    Attributes:
        calls: every call made, in order.
    """

    __slots__ = ("_script", "calls")

    def __init__(self) -> None:
        super().__init__(self._take, {})
        self.calls: List[Call] = []
        self._script: List[Tuple[Call, Any]] = []

    def expect(self, method: str, answer: Any = None, **arguments: Any) -> "FakeShotgun":
        """Scripts one call.

        Args:
            method: `find`, `update`, `rpc`, …
            answer: what the site answers; an exception is raised instead; a function gets the arguments.
            arguments: those that must agree; what is not named may be anything.

        Returns:
            Itself, so that calls can be chained.
        """
        self._script.append((Call(method, _through_json(arguments)), answer))
        return self

    def left(self) -> List[Call]:
        """Returns what was scripted and not called."""
        return [call for call, _ in self._script]

    def _by_name(self, name: str, rpc: str, payload: Any) -> Any:
        return _dates.inbound(self._take(name, dict(payload or {})))

    def _take(self, method: str, params: Dict[str, Any]) -> Any:
        made = Call(method[3:] if method.startswith("sg.") else method, _through_json(params))
        self.calls.append(made)
        for index, (wanted, answer) in enumerate(self._script):
            if _agrees(wanted, made):
                del self._script[index]
                if isinstance(answer, BaseException):
                    raise answer
                return _through_json(answer(made.arguments) if callable(answer) else answer)
        script = "".join("\n  " + _show(call) for call, _ in self._script) or "\n  nothing"
        raise UnexpectedCall(f"the handler called\n  {_show(made)}\nscripted and not used yet:{script}")


class Outcome(NamedTuple):
    """What came of one event.

    Attributes:
        status: "ok", "skip", "retry", "dead", "failed", or "ignored" when no handler wants the event.
        reason: what the handler said with it.
        after: seconds until the next attempt, when the handler said so.
        error: the exception, when it failed.
        failure: what the daemon would be told of it: type, traceback, locals, progress.
        ran: the ids of the handlers that wanted the event.
        state: the plugin's durable values afterwards.
        notices: `(method, params)` of every alert, progress and the like.
        logs: `(level, message)` of everything logged through `plugin.log`.
    """

    status: str
    reason: str = ""
    after: Optional[float] = None
    error: Optional[BaseException] = None
    failure: Optional[Dict[str, Any]] = None
    ran: Tuple[str, ...] = ()
    state: Mapping[str, Any] = {}
    notices: Tuple[Tuple[str, Dict[str, Any]], ...] = ()
    logs: Tuple[Tuple[str, str], ...] = ()

    def check(self) -> "Outcome":
        """Returns itself when it did not fail, else raises what the handler raised."""
        if self.error is not None:
            raise self.error
        return self


def make_event(
    event_type: str = "Shotgun_Task_Change",
    attribute_name: Optional[str] = None,
    *,
    id: int = 1,
    entity: Optional[Dict[str, Any]] = None,
    project: Optional[Dict[str, Any]] = None,
    user: Optional[Dict[str, Any]] = None,
    meta: Optional[Dict[str, Any]] = None,
    old_value: Any = None,
    new_value: Any = None,
    created_at: str = "2026-01-31T12:00:00Z",
    session_uuid: Optional[str] = None,
    delivery: Optional[Mapping[str, Any]] = None,
) -> Event:
    """Returns an event as the site would write it; `meta` is made up from the rest unless it is given."""
    if meta is None:
        entity_of_meta = entity or {}
        meta = {"type": "attribute_change" if attribute_name else "new_entity"}
        meta.update(entity_type=entity_of_meta.get("type"), entity_id=entity_of_meta.get("id"))
        if attribute_name:
            meta.update(attribute_name=attribute_name, old_value=old_value, new_value=new_value)
    raw = {
        "type": "EventLogEntry",
        "id": id,
        "event_type": event_type,
        "attribute_name": attribute_name,
        "meta": meta,
        "entity": entity,
        "project": project,
        "user": user,
        "session_uuid": session_uuid,
        "created_at": created_at,
    }
    described = dict({"attempt": 1, "deadline_ms": 120000, "behind": 0}, **(delivery or {}))
    return Event({"event": json.loads(json.dumps(raw, default=_dates.outbound)), "delivery": described}, next(_ids))


def run_handler(
    plugin: Plugin,
    event: Union[Event, Mapping[str, Any]],
    *,
    sg: Optional[Shotgun] = None,
    state: Optional[Mapping[str, Any]] = None,
    config: Optional[Mapping[str, Any]] = None,
) -> Outcome:
    """Runs the handlers of a plugin that want the event, as the daemon would have them run.

    Args:
        plugin: yours.
        event: from `make_event`, or an entry as the site writes it.
        sg: the scripted site; without one every call is unexpected.
        state: the durable values before.
        config: if given, `@plugin.on_start` runs with it first.

    Raises:
        UnexpectedCall: the handler called something that was not scripted.
        Disable: the plugin refused to start.
    """
    event = event if isinstance(event, Event) else Event({"event": dict(event)}, next(_ids))
    site = sg if sg is not None else FakeShotgun()
    daemon = _Daemon(site, _through_json(dict(state or {})))
    before, plugin._session = plugin._session, daemon
    level = plugin.log.level
    plugin.log.setLevel(level or logging.DEBUG)  # one that says nothing has the root's: warnings and worse
    plugin.log.addHandler(daemon.listener)
    try:
        if config is not None:
            plugin.started({"config": dict(config)})
        handlers = [one for one in plugin.handlers if matches(one.subscription, event.raw)]
        found = run(handlers, event, lambda _: site)
    finally:
        plugin.log.removeHandler(daemon.listener)
        plugin.log.setLevel(level)
        plugin._session = before
    ran = tuple(handler.id for handler in handlers)
    return _outcome(found, ran)._replace(
        state=daemon.state, notices=tuple(daemon.notices), logs=tuple(daemon.listener.heard)
    )


def _outcome(found: Any, ran: Tuple[str, ...]) -> Outcome:
    if not ran:
        return Outcome("ignored")
    if found is None:
        return Outcome("ok", ran=ran)
    if not isinstance(found, Failed):
        after_ms = found.get("after_ms")
        after = None if after_ms is None else after_ms / 1000
        return Outcome(found["status"], found.get("reason", ""), after, ran=ran)
    if isinstance(found.error, UnexpectedCall):
        raise found.error
    text = str(found.error)
    return Outcome("failed", text, error=found.error, failure=describe(found.error, found.progress), ran=ran)


class _Daemon:
    """The other end, as far as a handler can tell."""

    def __init__(self, site: Shotgun, state: Dict[str, Any]) -> None:
        self.state = state
        self.notices: List[Tuple[str, Dict[str, Any]]] = []
        self.listener = _Listener()
        self._site: Callable[[str, Dict[str, Any]], Any] = site._call

    def call(self, method: str, params: Dict[str, Any]) -> Any:
        if method == "state.get":
            return {"value": _through_json(self.state.get(params["key"]))}
        if method == "state.set":
            self.state[params["key"]] = _through_json(params["value"])
            return {}
        if method == "state.delete":
            self.state.pop(params["key"], None)
            return {}
        return self._site(method, params)

    def notify(self, method: str, params: Dict[str, Any]) -> None:
        self.notices.append((method, params))


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.heard: List[Tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append((record.levelname.lower(), record.getMessage()))


def _agrees(wanted: Call, made: Call) -> bool:
    return wanted.method == made.method and all(
        name in made.arguments and made.arguments[name] == value for name, value in wanted.arguments.items()
    )


def _show(call: Call) -> str:
    return "{}({})".format(call.method, ", ".join("{}={!r}".format(*item) for item in call.arguments.items()))


def _through_json(value: Any) -> Any:
    """The value as the other side of a pipe would see it."""
    return json.loads(_wire.request(0, "", {"value": value}))["params"]["value"]

"""`Plugin`: what an author writes against.

In: handlers and options. Out: the manifest; `run()` joins it to the daemon.
Never: work at import. Until `run()` nothing is opened, moved or sent.
"""

import asyncio
import contextlib
import inspect
import logging
import os
import sys
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    TypeVar,
    Union,
)

from . import _filter, _help, _logging, _pipe, _watch
from ._errors import Disconnected, NotStarted
from ._event import Event
from ._run import Handler
from ._serve import Server
from ._session import Session
from ._shotgun import Shotgun
from ._state import State

Function = TypeVar("Function", bound=Callable[..., Any])
Events = Union[None, str, Iterable[str], Mapping[str, Optional[Sequence[str]]]]


class Paths(NamedTuple):
    """Folders of this plugin alone; empty before `start`."""

    data: str = ""
    tmp: str = ""


class Plugin:
    """One plugin.

    Args:
        name: for display; the daemon knows a plugin by its file or folder.
        version: yours, for people.
        description: one sentence.
        max_in_flight: events handled at once, each in a thread of its own; needs an `order` other than "all".
        order: "all", "entity", "project" or "none": which events keep their order.
        timeout: seconds for one event.
        max_attempts: after that an event becomes a dead letter.
        on_error: "retry", "stop" or "skip".
        permissions: what it needs, e.g. `{"sg": ["find", "update:Task.sg_status_list"]}`.
        alerts: `{"emails": True}` or a list of recipients.
        config_schema: JSON Schema of its config.
        watch: more files whose change restarts it; what it imports is found by itself.

    Example:
        >>> plugin = Plugin(name="hello")
        >>> @plugin.on("Shotgun_Task_Change", attributes=["sg_status_list"])
        ... def on_status(event, sg):
        ...     sg.update("Task", event.entity["id"], {"description": "seen"})
        >>> plugin.manifest()["subscriptions"]
        [{'id': 'on_status', 'events': {'Shotgun_Task_Change': ['sg_status_list']}}]
    """

    def __init__(
        self,
        name: Optional[str] = None,
        *,
        version: str = "",
        description: str = "",
        max_in_flight: int = 1,
        order: Optional[str] = None,
        timeout: Optional[float] = None,
        max_attempts: Optional[int] = None,
        on_error: Optional[str] = None,
        permissions: Optional[Mapping[str, Any]] = None,
        alerts: Optional[Mapping[str, Any]] = None,
        config_schema: Optional[Mapping[str, Any]] = None,
        watch: Sequence[str] = (),
    ) -> None:
        if max_in_flight > 1 and order in (None, "all"):
            raise ValueError(f'max_in_flight={max_in_flight} needs order="entity", "project" or "none"')
        self.name = name or _name_of_main()
        self.version = version
        self.description = description
        self.log: logging.Logger = logging.getLogger(self.name)
        self.config: Dict[str, Any] = {}
        self.granted: Dict[str, Any] = {}
        self.site: Dict[str, Any] = {}
        self.paths = Paths()
        self.handlers: List[Handler] = []
        self.watch: List[str] = list(watch)
        self.state = State(self._call)
        self.sg = Shotgun(self._call, {})
        self._delivery = _present(
            max_in_flight=max_in_flight if max_in_flight > 1 else None,
            order=order,
            timeout_ms=None if timeout is None else int(timeout * 1000),
            max_attempts=max_attempts,
            on_error=on_error,
        )
        self._more = _present(permissions=permissions, alerts=alerts, config_schema=config_schema)
        self._workers_max = max_in_flight
        self._on_start: List[Callable[..., Any]] = []
        self._on_stop: List[Callable[[], Any]] = []
        self._session: Optional[Any] = None

    # What an author registers.

    def on(
        self,
        events: Events = None,
        *,
        attributes: Optional[Sequence[str]] = None,
        where: Optional[Sequence[Sequence[Any]]] = None,
        id: Optional[str] = None,
    ) -> Callable[[Function], Function]:
        """Registers a handler: `def handler(event, sg)`, or `def handler(event)`.

        Args:
            events: a type, several, or `{type: [attributes] or None}`; nothing means every event.
            attributes: only changes of these fields (with `events` as a type or several).
            where: more conditions, all of which must hold: `[path, relation, value]`.
            id: name of the handler; the function's by default.

        Returns:
            The decorator. The function itself stays as it is.

        Raises:
            ValueError: a condition that the daemon would refuse.
            TypeError: events or attributes of the wrong shape, or an `async` handler.
        """
        subscription = _present(events=_events(events, attributes), where=[list(one) for one in where or ()] or None)
        _filter.check(subscription.get("where") or [])

        def register(function: Function) -> Function:
            if asyncio.iscoroutinefunction(function):
                raise TypeError(f"{function.__name__}: a handler is a plain function, not async")
            handler_id = self._free_id(id or str(getattr(function, "__name__", "handler")))
            full = dict({"id": handler_id}, **subscription)
            self.handlers.append(Handler(handler_id, function, _positional(function), full))
            return function

        return register

    def on_start(self, function: Function) -> Function:
        """Registers what runs before the first event: `def start(config)`; may raise `Disable("reason")`."""
        self._on_start.append(function)
        return function

    def on_stop(self, function: Function) -> Function:
        """Registers what runs after the last event: `def stop()`."""
        self._on_stop.append(function)
        return function

    # What a handler may say.

    def alert(self, message: str, *, level: Optional[str] = None) -> None:
        """Tells the people who look after the plugin."""
        self._notify("alert", _present(message=message, level=level))

    def progress(
        self,
        message: Optional[str] = None,
        *,
        percent: Optional[float] = None,
        extend: Optional[float] = None,
    ) -> None:
        """Says how far the event is; `extend` asks for that many more seconds."""
        extend_ms = None if extend is None else int(extend * 1000)
        parent = self._session.parent() if isinstance(self._session, Session) else None
        self._notify("$/progress", _present(id=parent, message=message, percent=percent, extend_ms=extend_ms))

    def pause(self, seconds: float, reason: str) -> None:
        """Asks for no new events for a while, ten minutes at most."""
        self._notify("pause", {"for_ms": int(seconds * 1000), "reason": reason})

    def unhealthy(self, reason: str) -> None:
        """Says that this process is no good any more; the daemon starts a new one."""
        self._notify("unhealthy", {"reason": reason})

    # Running.

    def run(self) -> None:
        """Joins the daemon and works until it ends the plugin; run by hand, prints help and exits with 64."""
        if not os.environ.get("SGEVENTD_PLUGIN") or os.isatty(0):  # at a terminal nobody speaks the protocol
            print(_help.text(self, sys.argv[0] or self.name))
            raise SystemExit(_help.EXIT_USAGE)
        self._session = session = Session(_pipe.claim())
        _logging.install(session.notify)
        self.log = logging.getLogger(self.name)
        with contextlib.suppress(Disconnected):  # the daemon has gone; so do we
            try:
                Server(self, session, self._workers_max).serve()
            except KeyboardInterrupt:
                session.abandon()
                raise

    def manifest(self) -> Dict[str, Any]:
        """Returns what the daemon is told at `initialize`."""
        found = _present(name=self.name, version=self.version or None, description=self.description or None)
        found["subscriptions"] = [handler.subscription for handler in self.handlers]
        if self._delivery:
            found["delivery"] = self._delivery
        found.update(self._more)
        found["watch"] = sorted({*self.watch, *_watch.imported_files()})
        return found

    def started(self, params: Mapping[str, Any]) -> None:
        """Takes what `start` brings and runs the author's hooks. For the SDK and for tests."""
        paths = params.get("paths") or {}
        self.config = dict(params.get("config") or {})
        self.granted = dict(params.get("granted") or {})
        self.site = dict(params.get("site") or {})
        self.paths = Paths(paths.get("data") or "", paths.get("tmp") or "")
        for function in self._on_start:
            function(*[self.config, self.sg][: _positional(function)])

    def stopped(self) -> None:
        """Runs the author's hooks for the end. For the SDK and for tests."""
        for function in self._on_stop:
            function()

    def _free_id(self, wanted: str) -> str:
        taken = {handler.id for handler in self.handlers}
        found, number = wanted, 1
        while found in taken:
            number += 1
            found = f"{wanted}_{number}"
        return found

    def _call(self, method: str, params: Dict[str, Any]) -> Any:
        if self._session is None:
            raise NotStarted(f"{method}: there is no daemon before plugin.run(); call it in a handler")
        return self._session.call(method, params)

    def _notify(self, method: str, params: Dict[str, Any]) -> None:
        if self._session is None:
            raise NotStarted(f"{method}: there is no daemon before plugin.run(); call it in a handler")
        self._session.notify(method, params)


def _events(events: Events, attributes: Optional[Sequence[str]]) -> Optional[Dict[str, Optional[List[str]]]]:
    if callable(events):
        raise TypeError("write @plugin.on(…), with parentheses")
    if isinstance(attributes, str):
        raise TypeError(f"attributes={attributes!r}: a list is needed, [{attributes!r}]")
    if isinstance(events, Mapping):
        if attributes is not None:
            raise TypeError("attributes belong into the mapping, {type: [attributes]}")
        for kind, fields in events.items():
            if isinstance(fields, str):
                raise TypeError(f"{{{kind!r}: {fields!r}}}: a list is needed, [{fields!r}]")
        return {kind: None if fields is None else list(fields) for kind, fields in events.items()}
    if events is None:
        return None if attributes is None else {"*": list(attributes)}
    kinds = [events] if isinstance(events, str) else list(events)
    return {kind: None if attributes is None else list(attributes) for kind in kinds}


def _positional(function: Callable[..., Any]) -> int:
    """How many arguments the function takes by position, two at most."""
    count = 0
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            return 2
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            count += 1
    return min(count, 2)


def _present(**members: Any) -> Dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _name_of_main() -> str:
    given = os.environ.get("SGEVENTD_PLUGIN")
    return given or os.path.splitext(os.path.basename(sys.argv[0] or "plugin"))[0] or "plugin"


__all__ = ["Event", "Paths", "Plugin"]

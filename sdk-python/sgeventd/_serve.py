"""What each message of the daemon means, and who works on it.

In: messages from the session. Out: answers; the author's handlers called.
Never: two events at once, unless the plugin asked for `max_in_flight` above 1.
"""

import os
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Tuple

from . import _logging, _wire
from ._errors import Disable, Disconnected
from ._event import Event
from ._failure import describe, headline
from ._filter import matches
from ._run import Failed, Handler, run
from ._session import Message, Session, Ticket
from ._shotgun import Shotgun

if TYPE_CHECKING:
    from ._plugin import Plugin

PROTOCOL = 1
EXIT_DISABLE = 78  # the daemon disables a plugin that ends with it
_DRAIN_SECONDS = 4.0  # the daemon allows 5 for the answer to `shutdown`


class Server:
    """Answers the daemon on behalf of one plugin."""

    def __init__(self, plugin: "Plugin", session: Session, workers_max: int) -> None:
        self._plugin = plugin
        self._session = session
        self._workers: List[threading.Thread] = []
        self._by_match: Dict[Tuple[str, ...], List[Handler]] = {}
        self._methods: Dict[str, Callable[[Message], Any]] = {
            "initialize": self._initialize,
            "start": self._start,
        }
        if workers_max > 1:
            session.spawn = self._spawn
            session.room = workers_max - 1
            session.is_pool = True

    def serve(self) -> None:
        """Works until the daemon ends it: by `shutdown`, or by closing the pipe."""
        self._work(Ticket(is_worker=True))
        self._drain()
        shutdown = self._session.shutdown
        try:
            self._plugin.stopped()
        finally:
            try:
                if shutdown is not None and "id" in shutdown:
                    self._session.pipe.hold(_wire.answer(shutdown["id"], {}))
                self._session.pipe.flush()
            except Disconnected:
                pass  # nobody is left to be told

    # Work.

    def _work(self, ticket: Ticket) -> None:
        session = self._session
        while True:
            try:
                message = session.next(ticket)
            except IndexError:
                if session.shutdown is not None or session.has_ended:
                    return
                session.wait(ticket, self._has_work)
                continue
            if message["method"] == "event":
                self._event(message)
            else:
                self._other(message)

    def _has_work(self) -> bool:
        return bool(self._session.todo) or self._session.shutdown is not None

    def _spawn(self, ticket: Ticket) -> bool:
        name = f"sgeventd-worker-{len(self._workers) + 1}"
        worker = threading.Thread(target=self._work_apart, args=(ticket,), name=name, daemon=True)
        try:
            worker.start()
        except RuntimeError:  # the limit of threads: those that are there do it all
            return False
        self._workers.append(worker)
        return True

    def _work_apart(self, ticket: Ticket) -> None:
        """A worker that is not the main thread: what would end the process there must end it here too."""
        try:
            self._work(ticket)
        except Disconnected:
            pass
        except SystemExit as leave:
            os._exit(leave.code if isinstance(leave.code, int) else 1)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    def _drain(self) -> None:
        for worker in self._workers:
            worker.join(_DRAIN_SECONDS / len(self._workers))

    # Messages.

    def _event(self, message: Message) -> None:
        session = self._session
        request_id = message["id"]
        event = Event(message["params"], request_id, session.poll)
        if "cancelled" in message:
            event.cancel()
        session.open[request_id] = event
        session.enter(request_id)
        try:
            found = run(self._handlers(event), event, self._sg)
        except Disable as disable:
            print(f"sgeventd: the plugin disables itself: {disable.reason}", file=sys.stderr)
            raise SystemExit(EXIT_DISABLE) from disable
        finally:
            session.enter(None)
            session.open.pop(request_id, None)
        if found is None:
            line = _wire.answer_ok(request_id)
        elif isinstance(found, Failed):
            data = describe(found.error, found.progress)
            line = _wire.refusal(request_id, -32000, headline(found.error), data)
        else:
            line = _wire.answer(request_id, found)
        self._answer(line)

    def _answer(self, line: bytes) -> None:
        # Held back only if another thread is sure to flush it: the next handler may take minutes.
        pipe = self._session.pipe
        if self._workers and self._session.has_spare():
            pipe.hold(line)
        else:
            pipe.send(line)

    def _handlers(self, event: Event) -> List[Handler]:
        match = event.delivery.get("match")
        if match is None:  # a daemon that does not say which: find out
            return [one for one in self._plugin.handlers if matches(one.subscription, event.raw)]
        key = tuple(match)
        found = self._by_match.get(key)
        if found is None:
            found = [handler for handler in self._plugin.handlers if handler.id in key]
            self._by_match[key] = found
        return found

    def _sg(self, event: Event) -> Shotgun:
        return Shotgun(self._session.call, {"parent": event.request_id})

    def _other(self, message: Message) -> None:
        request_id = message.get("id")
        method = self._methods.get(message["method"])
        if method is None:
            if request_id is not None:
                text = "this plugin knows no method {!r:.100}".format(message["method"])
                self._session.pipe.send(_wire.refusal(request_id, -32601, text))
            return
        try:
            line = _wire.answer(request_id, method(message.get("params") or {}))
        except Disable as disable:
            line = _wire.answer(request_id, {"disable": disable.reason})
        except _Refusal as refusal:
            line = _wire.refusal(request_id, refusal.code, str(refusal), refusal.data)
        except Exception as error:
            line = _wire.refusal(request_id, -32000, headline(error), describe(error))
        self._session.pipe.send(line)

    def _initialize(self, params: Dict[str, Any]) -> Dict[str, Any]:
        supported = (params.get("protocol") or {}).get("supported") or []
        if PROTOCOL not in supported:
            text = f"this plugin speaks protocol {PROTOCOL}, the daemon {supported}"
            raise _Refusal(-32002, text, {"supported": [PROTOCOL]})
        limit = (params.get("limits") or {}).get("line_bytes")
        if isinstance(limit, int) and limit > 0:
            self._session.pipe.line_limit = limit
        features = {"cancel": True, "progress": True}
        return {"protocol": PROTOCOL, "manifest": self._plugin.manifest(), "features": features}

    def _start(self, params: Dict[str, Any]) -> Dict[str, Any]:
        _logging.set_level(params.get("log_level"))
        self._plugin.started(params)
        return {}


class _Refusal(Exception):
    """A request of the daemon that cannot be done."""

    def __init__(self, code: int, text: str, data: Dict[str, Any]) -> None:
        super().__init__(text)
        self.code = code
        self.data = data

"""Who reads the pipe, who waits, who works.

There is one rule: **whoever must wait reads, unless somebody reads already; then it sleeps.** A handler in
`call()` reads until its answer is there and lays other messages aside; a worker without work reads until
there is some; a thread of the author's that makes a call does the same. Whoever stops reading wakes one
sleeper to go on. So one thread needs no second one (the single-thread promise), and sixty need no referee.

In: lines of the daemon. Out: messages to serve, answers to calls.
Never: what a message means to a plugin (`_serve.py` knows).
"""

import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional

from . import _wire
from ._errors import Disconnected, TooLarge, from_wire
from ._event import Event
from ._pipe import Pipe

Message = Dict[str, Any]


_LOOK_SECONDS = 1.0  # a signal that came in the instant before a sleep began is seen so much later


class Ticket:
    """One thread that waits: for an answer, or, a worker, for work."""

    __slots__ = ("answer", "is_called", "is_worker", "wake")

    def __init__(self, is_worker: bool = False) -> None:
        self.answer: Optional[Message] = None
        self.is_worker = is_worker
        self.is_called = False  # woken, or started, to read or to work
        self.wake = threading.Lock()
        self.wake.acquire()


class Session:
    """The wire as the rest of the SDK uses it."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.todo: Deque[Message] = deque()
        self.open: Dict[Any, Event] = {}
        self.shutdown: Optional[Message] = None
        self.has_ended = False
        self.room = 0  # how many more workers may be started
        self.spawn: Callable[[Ticket], bool] = lambda _: False  # starts one; False when the system refuses
        self.is_pool = False
        self._here = threading.local()
        self._mutex = threading.Lock()
        self._is_read = False
        self._is_read_by_worker = False
        self._is_called = False  # somebody was woken, or started, and has not arrived
        self._idle: Dict[Ticket, None] = {}  # workers asleep
        self._callers: Dict[Ticket, None] = {}  # others asleep
        self._pending: Dict[int, Ticket] = {}
        self._last_id = 0

    # Calls and notifications.

    def call(self, method: str, params: Dict[str, Any]) -> Any:
        """Asks the daemon and waits.

        Raises:
            Error: whatever the daemon answered.
        """
        ticket = Ticket()
        self._name_parent(params)
        with self._mutex:
            self._last_id += 1
            request_id = self._last_id
        line = _wire.request(request_id, method, params)
        if len(line) > self.pipe.line_limit:
            raise TooLarge(f"{method} takes {len(line)} bytes, allowed: {self.pipe.line_limit}")
        self._pending[request_id] = ticket
        try:
            self.pipe.send(line)
            self.wait(ticket, lambda: ticket.answer is not None)
        finally:
            self._pending.pop(request_id, None)
        answer = ticket.answer
        if answer is None:
            raise Disconnected(f"the daemon closed the pipe before it answered {method}")
        if "error" in answer:
            raise from_wire(answer["error"])
        return answer.get("result")

    def notify(self, method: str, params: Dict[str, Any]) -> None:
        """Tells the daemon; nothing comes back."""
        self._name_parent(params)
        self.pipe.send(_wire.notification(method, params))

    def enter(self, request_id: Any) -> None:
        """Marks what this thread does from now on as part of an event (None: of none)."""
        self._here.parent = request_id

    def parent(self) -> Any:
        """Returns the id of the event that this thread works on, or None."""
        return getattr(self._here, "parent", None)

    def _name_parent(self, params: Dict[str, Any]) -> None:
        parent = self.parent()
        if parent is not None:
            params.setdefault("_meta", {}).setdefault("parent", parent)

    # Waiting.

    def wait(self, ticket: Ticket, is_ready: Callable[[], Any]) -> None:
        """Returns when `is_ready()` or the input has ended; reads meanwhile, or sleeps."""
        while not self._sleep_or_read(ticket, is_ready):
            pass
        if not self.hand_over():
            self.pipe.flush()  # nobody will read, and flush, while this thread works

    def next(self, ticket: Ticket) -> Message:
        """Returns what is to be served next, and sees to it that somebody goes on reading.

        Raises:
            IndexError: there is nothing yet.
        """
        message = self.todo.popleft()
        if self.is_pool:
            self._arrive(ticket)
            if not self.hand_over() or self._is_read:  # nobody will flush, or has already
                self.pipe.flush()
        return message

    def _sleep_or_read(self, ticket: Ticket, is_ready: Callable[[], Any]) -> bool:
        self._arrive(ticket)
        with self._mutex:
            if is_ready() or self.has_ended:
                return True
            must_sleep = self._is_read
            if must_sleep:
                (self._idle if ticket.is_worker else self._callers)[ticket] = None
            else:
                self._is_read = True
                self._is_read_by_worker = ticket.is_worker
        if must_sleep:
            self.pipe.flush()
            _sleep(ticket.wake)
        else:
            if self.todo:  # a caller reads, and work lies here
                self.hand_over()
            self._read()
        return False

    def _read(self) -> None:
        lines: Optional[List[bytes]] = None
        try:
            self.pipe.flush()
            lines = self.pipe.read()
        except Disconnected:
            lines = []  # nobody listens: the same as the end of the input
        finally:
            self._take(lines)

    def _take(self, lines: Optional[List[bytes]]) -> None:
        """Ends the reading; None: there was none, as when it was interrupted, which is not the end of the input."""
        with self._mutex:
            self._is_read = False
            if lines:
                self._route(lines)
            elif lines is not None:
                self._end()

    def _arrive(self, ticket: Ticket) -> None:
        if ticket.is_called:
            with self._mutex:
                ticket.is_called = self._is_called = False

    def hand_over(self) -> bool:
        """Sees to it that somebody reads, and that work which lies here has a worker.

        Wakes one sleeper, else starts one more worker; whoever arrives does the same for the next. Returns
        False when there is nobody to be had.
        """
        if self._is_looked_after():
            return True
        if not (self._idle or self._callers or self.room):
            return False
        with self._mutex:
            if self._is_looked_after() or self.has_ended:
                return True
            sleeper = self._choose_sleeper()
            if sleeper is None and not self.room:
                return False
            called = sleeper or Ticket(is_worker=True)
            called.is_called = self._is_called = True
            if sleeper is not None:
                sleeper.wake.release()
                return True
            self.room -= 1
        if self.spawn(called):
            return True
        self.room = 0
        self._arrive(called)
        return False

    def _is_looked_after(self) -> bool:
        return self._is_called or (self._is_read and (self._is_read_by_worker or not self.todo))

    def _choose_sleeper(self) -> Optional[Ticket]:
        if self._idle:
            return self._idle.popitem()[0]
        may_read = not self._is_read and not (self.todo and self.room)
        return self._callers.popitem()[0] if self._callers and may_read else None

    def has_spare(self) -> bool:
        """Returns whether another thread will read, and so flush, whatever this one does next."""
        return bool(self._is_read or self._is_called or self._idle or self._callers)

    def poll(self) -> None:
        """Looks, without waiting, whether the daemon said something (a cancellation)."""
        with self._mutex:
            if self._is_read or self.has_ended:
                return
            self._is_read = True
        lines: Optional[List[bytes]] = None
        try:
            if self.pipe.has_input():
                lines = self.pipe.read()
        finally:
            self._take(lines)

    # What came in; the mutex is held.

    def _route(self, lines: List[bytes]) -> None:
        for line in lines:
            try:
                message = _wire.parse(line)
                method = message.get("method")
            except (ValueError, AttributeError):  # a blank line, or nothing that concerns us
                continue
            if method == "event":
                self.todo.append(message)
            elif method is None:
                self._settle(message)
            elif method == "$/cancel":
                self._cancel(message)
            elif method == "shutdown":
                self.shutdown = message
                self._wake_all()
            elif not method.startswith("$/"):
                self.todo.append(message)

    def _settle(self, answer: Message) -> None:
        request_id = answer.get("id")
        ticket = self._pending.pop(request_id, None) if isinstance(request_id, int) else None
        if ticket is None:
            return
        ticket.answer = answer
        if ticket in self._callers:
            del self._callers[ticket]
            ticket.wake.release()

    def _cancel(self, message: Message) -> None:
        request_id = (message.get("params") or {}).get("id")
        event = self.open.get(request_id)
        if event is not None:
            event.cancel()
        for waiting in self.todo:  # not begun yet: there is nothing that could stop half done
            if waiting.get("id") == request_id:
                waiting["cancelled"] = True

    def abandon(self) -> None:
        """Lets go of the pipe, as a process does that dies: whoever waits wakes up, and answers nothing."""
        self.pipe.shut()
        with self._mutex:
            self._end()

    def _end(self) -> None:
        self.has_ended = True
        self._wake_all()

    def _wake_all(self) -> None:
        for sleepers in (self._idle, self._callers):
            while sleepers:
                sleepers.popitem()[0].wake.release()


def _sleep(wake: threading.Lock) -> None:
    """Waits to be woken; the main thread, which alone hears signals, looks for them now and then."""
    if threading.current_thread() is threading.main_thread():
        while not wake.acquire(timeout=_LOOK_SECONDS):
            pass
    else:
        wake.acquire()

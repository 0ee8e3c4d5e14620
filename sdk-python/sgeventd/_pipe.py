"""The two ends of the wire: whole lines in, gathered writes out.

In: bytes of the daemon. Out: lines; bytes of ours.
Never: what a line means. Never descriptor 0, 1 or 2 after `claim`: a print, a C library or a child process
that writes to them cannot break the protocol.
"""

import contextlib
import fcntl
import os
import select
import signal
import sys
import threading
from typing import List, Optional

from ._errors import Disconnected

_READ_BYTES = 65536  # what a Linux pipe holds: one read empties it
_HOLD_BYTES = 32768  # answers that wait for company go out at this size


def claim() -> "Pipe":
    """Moves the protocol away from 0 and 1: they become /dev/null and a second stderr."""
    reader = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 64)
    writer = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 64)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    if null > 2:
        os.close(null)
    os.dup2(2, 1)
    if sys.stdout is not None:
        sys.stdout.flush()  # what was printed before and still waited goes to the log too
    return Pipe(reader, writer, _hear_signals())


def _hear_signals() -> Optional[int]:
    """Returns where a byte arrives with each signal, or None: not the main thread, or the author hears them already.

    Python looks for signals before a system call and when one is interrupted. One that comes between the two is
    seen by neither: a Ctrl-C would be forgotten until the daemon says something. A byte that lies there is not.
    """
    if threading.current_thread() is not threading.main_thread():
        return None
    heard, told = os.pipe()
    os.set_blocking(heard, False)
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    if before == -1:
        return heard
    signal.set_wakeup_fd(before)
    os.close(heard)
    os.close(told)
    return None


class Pipe:
    """Lines from one descriptor, bytes to another.

    One thread reads at a time (the session sees to it); any thread may write.
    """

    def __init__(self, reader: int, writer: int, signals: Optional[int] = None) -> None:
        self.line_limit = 16 * 1024 * 1024  # until `initialize` says otherwise
        self._reader = reader
        self._writer = writer
        self._signals = signals
        self._both = select.poll()
        for descriptor in (reader, signals):
            if descriptor is not None:
                self._both.register(descriptor, select.POLLIN)
        self._tail: List[bytes] = []  # the beginning of a line whose end has not come
        self._held: List[bytes] = []
        self._held_bytes = 0
        self._is_shut = False
        self._lock = threading.Lock()

    def read(self) -> List[bytes]:
        """Waits for at least one line; an empty list is the end of the input."""
        while True:
            if self._signals is not None and threading.current_thread() is threading.main_thread():
                self._wait(self._signals)
            try:
                chunk = os.read(self._reader, _READ_BYTES)
            except BlockingIOError:
                select.select([self._reader], [], [])
                continue
            if not chunk:
                return []
            lines = chunk.split(b"\n")
            rest = lines.pop()
            if lines and self._tail:
                self._tail.append(lines[0])
                lines[0] = b"".join(self._tail)
                del self._tail[:]
            if rest:
                self._tail.append(rest)
            if lines:
                return lines

    def _wait(self, signals: int) -> None:
        """Returns when there is something to read; meanwhile the handlers of signals run, and may raise."""
        while True:
            ready = [descriptor for descriptor, _ in self._both.poll()]
            if signals in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(signals, _READ_BYTES)
            if self._reader in ready:
                return

    def has_input(self) -> bool:
        """Returns whether a read would not wait."""
        return bool(select.select([self._reader], [], [], 0)[0])

    def hold(self, line: bytes) -> None:
        """Keeps an answer for the next `flush`, so that many go out in one write."""
        with self._lock:
            self._held.append(line)
            self._held_bytes += len(line)
            if self._held_bytes >= _HOLD_BYTES:
                self._write_held()

    def send(self, line: bytes) -> None:
        """Writes a line now, behind what was held."""
        with self._lock:
            self._held.append(line)
            self._write_held()

    def flush(self) -> None:
        """Writes what was held."""
        if self._held:
            with self._lock:
                self._write_held()

    def shut(self) -> None:
        """Writes nothing any more: what would be said is not."""
        with self._lock:
            self._is_shut = True

    def _write_held(self) -> None:
        data = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        del self._held[:]
        self._held_bytes = 0
        if self._is_shut:
            raise Disconnected("this process ends")
        while data:
            try:
                data = data[os.write(self._writer, data) :]
            except BlockingIOError:
                select.select([], [self._writer], [])
            except OSError as error:  # EPIPE: nobody reads any more
                raise Disconnected("the daemon has closed the pipe") from error

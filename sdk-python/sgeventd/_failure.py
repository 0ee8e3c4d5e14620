"""What the operator is told about an exception: its kind, where it stood, what the handler knew.

In: an exception. Out: the `data` of an error answer.
Never: a secret (names that look like one are masked), a failure of its own, more than some KiB.
"""

import re
import reprlib
import traceback
from types import FrameType, TracebackType
from typing import Any, Dict, List, Optional, Tuple

from ._wire import safe_repr

_TRACEBACK_CHARS = 16000
_LOCALS_MAX = 40
_LOCALS_CHARS = 8000
_SECRET = re.compile(r"passw|secret|token|credential|cookie|(^|_)(key|auth|pin|pwd)($|_)|api_?key|script_key", re.I)
_MASK = "********"


class _Short(reprlib.Repr):
    """Reprs of bounded size and cost, with what looks secret masked inside dicts too."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 200
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 8
        self.maxlevel = 3

    def repr_dict(self, x: Dict[Any, Any], level: int) -> str:
        return super().repr_dict({key: _masked(key, value) for key, value in list(x.items())[:20]}, level)


def describe(error: BaseException, progress: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
    """Returns `{type, traceback, locals?, progress?}`."""
    frames = _without_sdk(error.__traceback__)
    data: Dict[str, Any] = {"type": type(error).__name__, "traceback": _traceback(error, frames)}
    if frames is not None:
        data["locals"] = _locals(frames.tb_frame)
    if progress:
        data["progress"] = progress
    return data


def headline(error: BaseException) -> str:
    """Returns `Type: text` in one line."""
    try:
        text = str(error)
    except Exception:
        text = safe_repr(error)
    first = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return first.split("\n", 1)[0][:500]


def _without_sdk(trace: Optional[TracebackType]) -> Optional[TracebackType]:
    """The part that begins with the author's own frame."""
    while trace is not None and trace.tb_frame.f_globals.get("__package__") == __package__:
        trace = trace.tb_next
    return trace


def _traceback(error: BaseException, frames: Optional[TracebackType]) -> str:
    try:
        text = "".join(traceback.format_exception(type(error), error, frames))
    except Exception:  # a __str__ that raises, a source line that cannot be read
        text = headline(error)
    if len(text) <= _TRACEBACK_CHARS:
        return text
    half = _TRACEBACK_CHARS // 2
    return text[:half] + "\n  [... cut ...]\n" + text[-half:]


def _locals(frame: FrameType) -> Dict[str, str]:
    shown: Dict[str, str] = {}
    chars = 0
    short = _Short()
    for name, value in _own_names(frame.f_locals):
        try:
            text = _MASK if _SECRET.search(name) else short.repr(value)
        except Exception:
            text = safe_repr(value)
        chars += len(name) + len(text)
        if chars > _LOCALS_CHARS or len(shown) >= _LOCALS_MAX:
            break
        shown[name] = text
    return shown


def _own_names(names: Dict[str, Any]) -> List[Tuple[str, Any]]:
    return [(name, value) for name, value in list(names.items()) if not name.startswith("__")]


def _masked(key: Any, value: Any) -> Any:
    return _MASK if isinstance(key, str) and _SECRET.search(key) else value

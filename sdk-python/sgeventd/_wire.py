"""Messages to bytes and back.

In: Python values; lines. Out: lines; Python values.
Never: a newline inside a line, half a surrogate pair, NaN: the daemon would have to call them stray output.
"""

import json
from typing import Any, Dict, Optional

from ._dates import outbound
from ._errors import BadCall

_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_OK = b'{"jsonrpc":"2.0","id":%d,"result":{"status":"ok"}}\n'


def parse(line: bytes) -> Any:
    """Returns what one line says.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return _scan(line.decode(), 0)[0]
    except StopIteration:  # leading blanks, a byte order mark, an empty line: the slow reader knows them
        return json.loads(line.decode("utf-8-sig"))


def request(request_id: int, method: str, params: Dict[str, Any]) -> bytes:
    """Returns the line of a call.

    Raises:
        BadCall: a value that has no JSON form.
    """
    message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    try:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False, default=outbound)
        return text.encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise BadCall(f"{method}: {error}") from error


def notification(method: str, params: Dict[str, Any]) -> bytes:
    """Returns the line of a notification; what cannot be sent is shown as text instead."""
    return _forgiving({"jsonrpc": "2.0", "method": method, "params": params})


def answer(request_id: Any, result: Any) -> bytes:
    """Returns the line of an answer."""
    return _forgiving({"jsonrpc": "2.0", "id": request_id, "result": result})


def answer_ok(request_id: Any) -> bytes:
    """Returns the line that most events end with, without building it."""
    return _OK % request_id if type(request_id) is int else answer(request_id, {"status": "ok"})


def refusal(request_id: Any, code: int, message: str, data: Optional[Dict[str, Any]] = None) -> bytes:
    """Returns the line of an error answer."""
    error: Dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return _forgiving({"jsonrpc": "2.0", "id": request_id, "error": error})


def _forgiving(message: Dict[str, Any]) -> bytes:
    """An answer must arrive whatever is in it: an event without one would run into its deadline."""
    try:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False, default=_show)
    except (TypeError, ValueError):
        text = json.dumps(_plain(message), ensure_ascii=False)
    return text.encode("utf-8", "replace") + b"\n"


def _show(value: Any) -> str:
    try:
        return outbound(value)
    except TypeError:
        return safe_repr(value)


def _plain(value: Any, depth: int = 0) -> Any:
    """A copy that JSON can take for certain: odd keys, NaN and rings become text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if depth < 20 and isinstance(value, dict):
        return {key if isinstance(key, str) else safe_repr(key): _plain(item, depth + 1) for key, item in value.items()}
    if depth < 20 and isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    return safe_repr(value)


def safe_repr(value: Any) -> str:
    """Returns `repr`, or says that there is none."""
    try:
        return repr(value)[:1000]
    except Exception as error:
        return f"<{type(value).__name__} without repr: {type(error).__name__}>"

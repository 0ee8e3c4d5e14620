"""`plugin.state`: a few values that outlive the process, kept by the daemon beside the plugin's place.

In: keys and JSON values. Out: the same, once they are on disk.
Never: a file of our own.
"""

from typing import Any, Callable, Dict


class State:
    """A small durable map: any JSON, 64 KiB a value, 16 MiB in all."""

    def __init__(self, call: Callable[[str, Dict[str, Any]], Any]) -> None:
        self._call = call

    def get(self, key: str, default: Any = None) -> Any:
        """Returns the value of the key, or the default."""
        value = (self._call("state.get", {"key": key}) or {}).get("value")
        return default if value is None else value

    def set(self, key: str, value: Any) -> None:
        """Keeps the value; it is on disk when this returns."""
        self._call("state.set", {"key": key, "value": value})

    def delete(self, key: str) -> None:
        """Forgets the key; a key that is not there is no error."""
        self._call("state.delete", {"key": key})

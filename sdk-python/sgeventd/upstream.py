"""Runs a file that was written for Autodesk's `shotgunEvents`: `registerCallbacks(reg)` and its callbacks.

Example::

    from sgeventd import upstream

    if __name__ == "__main__":
        upstream.run("/studio/plugins/my_old_plugin.py")

In: the file. Out: a `Plugin` with one handler, which calls the callbacks that want an event, in their order.
Never: a key. `sg` is the daemon's session, whatever script a callback was registered with; a connection that the
file opens by itself is its own affair.
"""

import copy
import logging
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Union

from . import _dates
from ._event import Event
from ._plugin import Plugin
from ._shotgun import Shotgun

__all__ = ["Registrar", "load", "run"]

# An event has these and no others, each of them always.
_KEYS = (
    "type",
    "id",
    "event_type",
    "attribute_name",
    "meta",
    "entity",
    "user",
    "project",
    "session_uuid",
    "created_at",
)


class _Callback(NamedTuple):
    function: Callable[..., Any]
    matches: Any
    args: Any
    stops: bool
    log: logging.Logger


class Registrar:
    """What `registerCallbacks` is given.

    Attributes:
        logger: the plugin's; those of its callbacks hang below it.
    """

    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger("plugin." + name)
        self._callbacks: List[_Callback] = []
        self._emails: Union[bool, List[str], None] = None

    def getLogger(self) -> logging.Logger:
        """Returns the plugin's logger."""
        return self.logger

    def registerCallback(
        self,
        sgScriptName: Optional[str],
        sgScriptKey: Optional[str],
        callback: Callable[..., Any],
        matchEvents: Any = None,
        args: Any = None,
        stopOnError: bool = True,
    ) -> None:
        """Registers `callback(sg, logger, event, args)`.

        Raises:
            TypeError: the callback cannot be called.
            ValueError: a script name without a key, or a key without a name, or both empty.
        """
        if not callable(callback):
            raise TypeError("callback must be a function, or an object with __call__")
        if (sgScriptName is None) != (sgScriptKey is None) or (sgScriptName == "" and sgScriptKey == ""):
            raise ValueError("a script needs both a name and a key")
        name = getattr(callback, "__name__", None) or f"{type(callback).__name__}_{id(callback):#x}"
        log = self.logger.getChild(name)
        self._callbacks.append(_Callback(callback, matchEvents, args, bool(stopOnError), log))

    def setEmails(self, *emails: Any) -> None:
        """Says who is told of errors: addresses, `True` for the default ones, `False` for nobody."""
        flat = [one for given in emails for one in (given if isinstance(given, (list, tuple)) else [given])]
        if len(flat) == 1 and isinstance(flat[0], bool):
            self._emails = flat[0]
        else:
            self._emails = [one.strip() for text in flat for one in str(text).split(",") if one.strip()]


def load(path: str) -> Plugin:
    """Returns the file as a plugin; its `registerCallbacks` has run.

    Raises:
        AttributeError: the file has no function `registerCallbacks`.
    """
    name = os.path.splitext(os.path.basename(path))[0]
    with open(path, "rb") as file:
        code = compile(file.read(), os.path.abspath(path), "exec")
    module: Dict[str, Any] = {"__name__": name, "__file__": os.path.abspath(path)}
    exec(code, module)
    if not callable(module.get("registerCallbacks")):
        raise AttributeError(f"{path} has no function registerCallbacks(reg)")
    registrar = Registrar(name)
    module["registerCallbacks"](registrar)
    callbacks, emails = registrar._callbacks, registrar._emails
    plugin = Plugin(
        name,
        on_error="stop",
        watch=[os.path.abspath(path)],
        alerts=None if emails is None else {"emails": emails},
    )

    def handler(event: Event, sg: Shotgun) -> None:
        # One copy for all callbacks of a file: upstream hands the same dict to each of them.
        row = _dates.inbound(copy.deepcopy(event.raw))
        seen = {key: row.get(key) for key in _KEYS}
        for one in callbacks:
            if not _wants(one.matches, seen):
                continue
            try:
                one.function(sg, one.log, seen, one.args)
            except Exception as error:
                if one.stops:
                    raise
                one.log.exception("the callback failed, and goes on with the next event (stopOnError=False)")
                plugin.alert(f"{one.log.name} failed at event {event.id}: {error!r}")

    if callbacks:
        plugin.on(_types(callbacks), id="callbacks")(handler)
    return plugin


def run(path: str) -> None:
    """Joins the daemon with the file's callbacks and works until it ends the plugin."""
    load(path).run()


def _types(callbacks: List[_Callback]) -> Optional[Dict[str, None]]:
    """What the daemon is asked for: the types alone. `_wants` decides, for a file may change its filters later."""
    types: Dict[str, None] = {}
    for one in callbacks:
        if not one.matches or isinstance(one.matches, str) or "*" in one.matches:
            return None
        types.update((kind, None) for kind in one.matches if isinstance(kind, str))
    return types


def _wants(matches: Any, event: Dict[str, Any]) -> bool:
    """Does a filter want an event: upstream's rules, its substrings among them."""
    if not matches:
        return True
    if not isinstance(matches, dict):  # upstream ends at these: a list of types is what was meant
        matches = dict.fromkeys([matches] if isinstance(matches, str) else matches)
    kind = "*" if "*" in matches else event["event_type"]
    if kind not in matches:
        return False
    wanted = matches[kind]
    if wanted is None or "*" in wanted:
        return True
    name = event["attribute_name"]
    return name is not None and name in wanted

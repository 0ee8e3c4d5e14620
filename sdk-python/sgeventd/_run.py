"""One event through its handlers.

In: an event, the handlers that want it. Out: the answer: `None` for plain ok, a result, or a failure.
Never: the pipe; the tests of plugins run the very same code.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from ._errors import Disable, Outcome, Retry, Skip
from ._event import Event
from ._shotgun import Shotgun


class Handler(NamedTuple):
    """A function of the author's and the subscription it was registered with."""

    id: str
    function: Callable[..., Any]
    arguments: int
    subscription: Dict[str, Any]


class Failed(NamedTuple):
    """A handler raised something that is not an answer."""

    error: Exception
    progress: Dict[str, Any]


def run(handlers: Sequence[Handler], event: Event, make_sg: Callable[[Event], Shotgun]) -> Any:
    """Runs the handlers in the order registered.

    Those that an earlier attempt finished (`delivery.progress`) are left out. The first that fails, or asks
    for a retry, ends the attempt; what was done is kept for the next.

    Returns:
        None when all is well, a dict to answer with, or `Failed`.
    """
    before = event.delivery.get("progress")
    done: List[str] = list(before.get("done") or ()) if isinstance(before, dict) else []
    skipped: Optional[Skip] = None
    worked = bool(done)
    for handler in handlers:
        if handler.id in done:
            continue
        try:
            outcome = _call(handler, event, make_sg)
            if isinstance(outcome, Outcome):  # `return Skip(…)` is what the author meant to raise
                raise outcome
            worked = True
        except Skip as skip:
            skipped = skip
        except Outcome as outcome:
            answer = outcome.answer()
            if done and isinstance(outcome, Retry):
                answer["progress"] = {"done": done}
            return answer
        except Disable:
            raise
        except Exception as error:
            return Failed(error, {"done": done} if done else {})
        done.append(handler.id)
    return skipped.answer() if skipped is not None and not worked else None


def _call(handler: Handler, event: Event, make_sg: Callable[[Event], Shotgun]) -> Any:
    if handler.arguments >= 2:
        return handler.function(event, make_sg(event))
    return handler.function(event) if handler.arguments else handler.function()

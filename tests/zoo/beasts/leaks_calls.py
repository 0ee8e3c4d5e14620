#!/usr/bin/env python3
"""Makes 10,000 calls of a slow site with its first event, and counts what it is told.

It reads all the while, and waits for no result: with each answer it makes the next call, a few hundred ahead.
"""

import collections
import itertools

import tame

CALLS = 10000
AHEAD = 600
TOLD = collections.Counter()
NUMBERS = iter(range(CALLS))
OPEN = []


def call(count):
    """All in the name of the event, which is answered behind them."""
    params = {"entity_type": "Shot", "filters": [], "fields": ["id"], "limit": 1, "_meta": {"parent": OPEN[0]["id"]}}
    for number in itertools.islice(NUMBERS, count):
        tame.send({"id": number, "method": "sg.find", "params": params})


def event(msg):
    """The first ones."""
    if tame.is_first(1):
        OPEN.append(msg)
        call(AHEAD)
        return tame.SILENCE


def reply(msg):
    """A result, or the code of an error."""
    TOLD[str((msg.get("error") or {}).get("code", "result"))] += 1
    call(1)
    if sum(TOLD.values()) == CALLS:
        tame.answer(OPEN[0], {})
        tame.write_down(told=TOLD)


tame.run(reply=reply, event=event)

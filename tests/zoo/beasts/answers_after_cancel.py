#!/usr/bin/env python3
"""Answers its first event only when it is told that nobody waits for it any more."""

import tame

OPEN = []


def event(msg):
    """Nothing, for the first one."""
    if tame.is_first(1):
        OPEN.append(msg)
        return tame.SILENCE


def cancel(msg):
    """Now."""
    tame.say("cancelled: %d" % msg["params"]["id"])
    for msg in OPEN:
        tame.answer(msg, {})
    del OPEN[:]


tame.run(event=event, cancel=cancel)

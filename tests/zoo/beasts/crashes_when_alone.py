#!/usr/bin/env python3
"""Bears events in company, and is killed by one that stays alone.

It takes four at once and answers when it has two. Whether it waits for the second for ever: a file of the test says so.
"""

import os
import signal

import tame

IMPATIENT = os.path.join(tame.STUDIO, "lonely")
WAITING = []


def initialize(msg):
    """Four at once."""
    delivery = {"max_in_flight": 4, "order": "none"}
    return {"protocol": 1, "manifest": dict(tame.MANIFEST, delivery=delivery)}


def give_up(*_):
    """Nobody came."""
    tame.say("alone with event %d" % tame.event_id(WAITING[0]))
    os._exit(12)


def event(msg):
    """Waits for company."""
    signal.alarm(0)
    WAITING.append(msg)
    if len(WAITING) == 2:
        for one in WAITING:
            tame.answer(one, {})
        del WAITING[:]
    elif os.path.exists(IMPATIENT):
        signal.alarm(1)
    return tame.SILENCE


signal.signal(signal.SIGALRM, give_up)
tame.run(initialize=initialize, event=event)

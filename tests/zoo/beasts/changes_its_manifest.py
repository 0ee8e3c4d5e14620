#!/usr/bin/env python3
"""Says something else of itself at each start, and does not live long."""

import os

import tame

LIFE = tame.LIFE


def initialize(msg):
    """Another version, other subscriptions, other deadlines and attempts, as often as it is asked."""
    everything = {"id": "life_%d" % LIFE}
    delivery = {"max_attempts": 1 + LIFE, "timeout_ms": 1000 * LIFE}
    manifest = {"version": "%d.0" % LIFE, "subscriptions": [everything] * LIFE, "delivery": delivery}
    return {"protocol": 1, "manifest": manifest}


def event(msg):
    """Answers, and is gone after the third."""
    if not tame.is_first(2) and LIFE < 3:
        tame.answer(msg, {})
        os._exit(1)


tame.run(initialize=initialize, event=event)

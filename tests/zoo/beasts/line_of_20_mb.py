#!/usr/bin/env python3
"""Writes a line of 20 MB before it answers its first event, and answers the second with one."""

import tame

LONG = "x" * (20 << 20)


def event(msg):
    """Without an id, then with one."""
    if tame.is_first(1):
        tame.raw(LONG + "\n")
    elif tame.is_first(2) and msg["params"]["delivery"]["attempt"] == 1:
        return LONG


tame.run(event=event)

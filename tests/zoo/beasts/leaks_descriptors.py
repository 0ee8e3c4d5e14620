#!/usr/bin/env python3
"""Opens files and closes none, in its first life."""

import tame

LEAKED = []


def leak(msg):
    """Up to the limit."""
    while tame.LIFE == 1:
        LEAKED.append(open("/dev/null", "rb"))


tame.run(event=leak)

#!/usr/bin/env python3
"""Writes objects with an id that are neither request nor answer, without end, and reads none of the complaints; in its first life."""

import tame

BROKEN = b"".join(b'{"id": %d}\n' % number for number in range(5000))


def event(msg):
    """Until it is stopped."""
    while tame.LIFE == 1:
        tame.raw(BROKEN)


tame.run(event=event)

#!/usr/bin/env python3
"""Forks for ever, and so do its children, in its first life; each in a session of its own."""

import os
import time

import tame


def bomb(msg):
    """Goes on when there is no room: some of its own may have been ended meanwhile."""
    until = time.monotonic() + 2
    while tame.LIFE == 1:
        try:
            if os.fork() == 0:
                os.setsid()
                until = float("inf")
        except OSError:
            time.sleep(0.02)
        if time.monotonic() > until:
            os._exit(3)


tame.run(event=bomb)

#!/usr/bin/env python3
"""Shakes hands and reads no line after that, in its first life."""

import tame


def start(msg):
    """Ready, and deaf."""
    if tame.LIFE == 1:
        tame.answer(msg, {})
        tame.sleep_for_ever()


tame.run(start=start)

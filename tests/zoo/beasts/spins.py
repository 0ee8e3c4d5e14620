#!/usr/bin/env python3
"""Spins in a handler and never answers, in its first life."""

import tame


def spin(msg):
    """For ever."""
    while tame.LIFE == 1:
        pass


tame.run(event=spin)

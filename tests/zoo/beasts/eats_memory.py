#!/usr/bin/env python3
"""Allocates memory until it gets no more, in its first life, and uses all of it."""

import tame

CHUNK = 16 << 20


def eat(msg):
    """Each page is written to: what is only reserved costs nothing."""
    eaten = []
    while tame.LIFE == 1:
        eaten.append(bytearray(CHUNK))
        eaten[-1][::4096] = b"x" * (CHUNK // 4096)


tame.run(event=eat)

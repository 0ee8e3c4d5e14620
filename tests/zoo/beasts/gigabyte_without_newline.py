#!/usr/bin/env python3
"""Writes 1 GiB without a newline before it answers its first event."""

import tame

MEBIBYTE = b"y" * (1 << 20)


def event(msg):
    """Then a newline, for what follows is an answer."""
    if tame.is_first(1):
        for _ in range(1024):
            tame.raw(MEBIBYTE)
        tame.raw("\n")


tame.run(event=event)

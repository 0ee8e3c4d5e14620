#!/usr/bin/env python3
"""Writes 1 MiB of garbage where the protocol should be with each of its first two events, as fast as it goes, and answers behind it."""

import tame

GARBAGE = b"\x00\x01 what? {]}\n[1, 2]\n\"text\"\n\n{\"half\": \n" * 2000
seen = 0


def event(msg):
    global seen
    seen += 1
    if seen <= 2:
        for _ in range(15):
            tame.raw(GARBAGE)


tame.run(event=event)

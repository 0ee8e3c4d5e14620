#!/usr/bin/env python3
"""Writes 4 MiB of garbage where the protocol should be with each event, as fast as it goes, and answers behind it."""

import tame

GARBAGE = b"\x00\x01 what? {]}\n[1, 2]\n\"text\"\n\n{\"half\": \n" * 2000

tame.run(event=lambda msg: [tame.raw(GARBAGE) for _ in range(50)] and None)

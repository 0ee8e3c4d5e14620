#!/usr/bin/env python3
"""Prints 10,000 lines where the protocol should be, then a good answer; with its first event only."""

import tame

LINES = "".join("frame %d of 10000\n" % number for number in range(10000))

tame.run(event=lambda msg: tame.raw(LINES) if tame.is_first(1) else None)

#!/usr/bin/env python3
"""Writes 32 MiB to its log with each event, as fast as it goes, and answers behind them."""

import os

import tame

LINES = (b"0123456789" * 12 + b"\n") * 542


def event(msg):
    """64 KiB at once."""
    for _ in range(512):
        os.write(2, LINES)


tame.run(event=event)

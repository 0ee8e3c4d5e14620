#!/usr/bin/env python3
"""Does not end: not when it is asked to, nor at the end of its input, nor by SIGTERM."""

import signal

import tame

signal.signal(signal.SIGTERM, signal.SIG_IGN)


def shutdown(msg):
    """Promises to go, and stays."""
    tame.answer(msg, {})
    tame.sleep_for_ever()


tame.run(shutdown=shutdown)
tame.sleep_for_ever()

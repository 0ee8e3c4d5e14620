#!/usr/bin/python3
"""Spins for two seconds, and says how much of a core it had."""

import sys
import time

import plain


def event(_msg):
    """Of its own clock and the wall's."""
    began, used = time.monotonic(), time.process_time()
    while time.monotonic() < began + 2:
        pass
    share = (time.process_time() - used) / (time.monotonic() - began)
    plain.say("SPUN", "within its share" if share < 0.35 else "at %.2f of a core" % share)


sys.exit(plain.run(event))

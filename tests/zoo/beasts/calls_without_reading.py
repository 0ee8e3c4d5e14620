#!/usr/bin/env python3
"""Calls the site 10,000 times with its first event, each time with much to say, and reads no answer; in its first life.

SIGTERM does not stop it: all that it says before its end must cost nobody anything.
"""

import signal

import tame


def event(msg):
    """Then waits to be ended."""
    if tame.LIFE == 1:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for number in range(10000):
            params = {"entity_type": "Shot", "filters": [["code", "is", "x" * 2000]], "fields": ["code"]}
            tame.send({"id": number, "method": "sg.find", "params": params})
        tame.sleep_for_ever()


tame.run(event=event)

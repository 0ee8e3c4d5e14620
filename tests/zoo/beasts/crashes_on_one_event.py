#!/usr/bin/env python3
"""Is killed by one event, whenever it sees it."""

import os

import tame


def event(msg):
    """The test says which."""
    if tame.event_id(msg) == int(tame.NOTE):
        tame.say("cannot bear event " + tame.NOTE)
        os._exit(11)


tame.run(event=event)

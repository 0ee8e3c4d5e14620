#!/usr/bin/env python3
"""Answers requests that nobody made, before it answers the one that was."""

import tame


def event(msg):
    """Three ids: one that was not given out yet, one that is a text, none."""
    tame.send({"id": msg["id"] + 500000, "result": {}})
    tame.send({"id": "1000003", "result": {}})
    tame.send({"id": None, "result": {}})


tame.run(event=event)

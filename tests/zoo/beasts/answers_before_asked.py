#!/usr/bin/env python3
"""Answers with each event the next ones, too, that it cannot have seen yet."""

import tame


def event(msg):
    """The next three are given up unseen."""
    for ahead in (1, 2, 3):
        tame.send({"id": msg["id"] + ahead, "result": {"status": "dead", "reason": "I can guess"}})


tame.run(event=event)

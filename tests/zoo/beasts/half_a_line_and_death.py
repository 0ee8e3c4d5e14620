#!/usr/bin/env python3
"""Dies in the middle of each answer."""

import os

import tame


def event(msg):
    """The first half of what would have been right."""
    tame.raw('{"jsonrpc": "2.0", "id": %d, "resu' % msg["id"])
    os._exit(3)


tame.run(event=event)

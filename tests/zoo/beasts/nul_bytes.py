#!/usr/bin/env python3
"""Writes NUL bytes before, behind and inside of what it says."""

import tame


def event(msg):
    """An answer with NULs around it is none; a good one follows."""
    tame.raw(b"\0" * 4096 + b"\n")
    tame.raw(b'{"jsonrpc": "2.0", "id": %d, "result": {"status": "\0"}}\n' % msg["id"])
    tame.raw(b'{"jsonrpc": "2.0", "id": %d, "result": {"status": "dead"}}\0\n' % msg["id"])


tame.run(event=event)

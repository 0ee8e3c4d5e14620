#!/usr/bin/env python3
"""Says that it speaks another JSON-RPC, or does not say which, and is right in everything else."""

import json

import tame


def event(msg):
    """One version after the other."""
    version = [{"jsonrpc": "1.0"}, {"jsonrpc": 2.0}, {"jsonrpc": None}, {}][msg["id"] % 4]
    tame.raw(json.dumps(dict(version, id=msg["id"], result={})) + "\n")
    return tame.SILENCE


tame.run(event=event)

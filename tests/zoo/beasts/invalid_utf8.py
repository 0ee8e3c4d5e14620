#!/usr/bin/env python3
"""Writes bytes that are no UTF-8: alone, inside of an answer, and to its log; and line separators that end no line."""

import os

import tame


def event(msg):
    """What cannot be read is no answer; a good one follows."""
    tame.raw(b"\xff\xfe caf\xe9\n")
    tame.raw(b'{"jsonrpc": "2.0", "id": %d, "result": {"status": "dead", "reason": "caf\xe9"}}\n' % msg["id"])
    os.write(2, b"the artist Ren\xe9 \xf0\x28\x8c\x28\n")
    reason = "one\u2028line\u2029\x85".encode()
    tame.raw(b'{"jsonrpc": "2.0", "id": %d, "result": {"status": "skip", "reason": "%s"}}\n' % (msg["id"], reason))
    return tame.SILENCE


tame.run(event=event)

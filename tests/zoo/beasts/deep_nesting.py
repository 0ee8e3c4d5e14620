#!/usr/bin/env python3
"""Nests lists 100,000 deep wherever JSON may stand: in its answers, its calls, its notifications."""

import tame

DEEP = "[" * 100000 + "]" * 100000


def event(msg):
    """The first three; a deep answer is an answer that says nothing."""
    if not tame.is_first(3):
        return None
    for text in ('"method": "log", "params": {"message": "m", "fields": %s}', '"id": 1, "method": "state.get", "params": %s',
                 '"id": 2, "method": "state.set", "params": {"key": "deep", "value": %s}',
                 '"id": 3, "method": "sg.find", "params": {"entity_type": "Shot", "filters": %s}',
                 '"method": "$/progress", "params": {"id": 1, "message": %s}'):
        tame.raw('{"jsonrpc": "2.0", ' + text % DEEP + "}\n")
    tame.raw(DEEP + "\n")
    tame.raw('{"jsonrpc": "2.0", "id": %d, "result": {"progress": %s}}\n' % (msg["id"], DEEP))
    return tame.SILENCE


tame.run(event=event)

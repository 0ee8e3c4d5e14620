#!/usr/bin/env python3
"""Uses ids that nobody else would: of a megabyte, of three hundred digits, below zero, with an exponent."""

import tame

IDS = ['"%s"' % ("i" * (1 << 20)), "9" * 300, "-1", "1e400", "0.5", '"\\u0000\\ud83d\\ude00"']
ANSWERS = []


def event(msg):
    """A call under each, and answers under ids beyond all numbers."""
    if tame.is_first(3):
        for number in IDS:
            tame.raw('{"jsonrpc": "2.0", "id": %s, "method": "state.get", "params": {"key": "k"}}\n' % number)
            tame.raw('{"jsonrpc": "2.0", "id": %s, "result": {}}\n' % number)
    elif ANSWERS:
        tame.write_down(answers=ANSWERS[:])
        del ANSWERS[:]


def reply(msg):
    """What came back, by its length and its result; Python's own reader shows what the id was."""
    ANSWERS.append([len(str(msg["id"])), msg.get("result"), (msg.get("error") or {}).get("code")])


tame.run(reply=reply, event=event)

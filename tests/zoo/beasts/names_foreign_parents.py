#!/usr/bin/env python3
"""Calls in the name of events that are not its own: never given out, not given out yet, no number at all."""

import tame

PARENTS = [1, -1, 10 ** 30, "1000003", [], {"id": 1}, True]
TOLD = []


def event(msg):
    """With its first event."""
    if tame.is_first(1):
        for number, parent in enumerate([*PARENTS, msg["id"] + 1000]):
            params = {"entity_type": "Shot", "data": {"code": "stolen"}, "_meta": {"parent": parent}}
            tame.send({"id": number, "method": "sg.create", "params": params})


def reply(msg):
    """The code of each refusal."""
    TOLD.append([msg["id"], (msg.get("error") or {}).get("code")])
    if len(TOLD) == len(PARENTS) + 1:
        tame.write_down(told=sorted(TOLD))


tame.run(reply=reply, event=event)

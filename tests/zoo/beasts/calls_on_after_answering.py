#!/usr/bin/env python3
"""Answers each of its first three events while a call for it is under way, and then makes another call in its name.

It counts the calls that were under way when it was handed the next event: the daemon promises none.
"""

import tame

EVENTS = 3
UNDER_WAY = set()
TOLD = {"overlaps": 0, "late": []}


def find(name, event):
    """A call in the name of an event."""
    params = {"entity_type": "Shot", "filters": [], "fields": ["id"], "limit": 1, "_meta": {"parent": event["id"]}}
    tame.send({"id": name, "method": "sg.find", "params": params})


def event(msg):
    """A call, the answer, a call."""
    TOLD["overlaps"] += len(UNDER_WAY)
    if not tame.is_first(EVENTS):
        return None
    slow = f"slow {msg['id']}"
    UNDER_WAY.add(slow)
    find(slow, msg)
    tame.answer(msg, {})
    find(f"late {msg['id']}", msg)
    return tame.SILENCE


def reply(msg):
    """Whatever it is."""
    if msg["id"] in UNDER_WAY:
        UNDER_WAY.remove(msg["id"])
    else:
        TOLD["late"].append((msg.get("error") or {}).get("code", "result"))
    if not UNDER_WAY and len(TOLD["late"]) == EVENTS:
        tame.write_down(told=TOLD)


tame.run(reply=reply, event=event)

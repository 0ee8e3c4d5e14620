#!/usr/bin/env python3
"""A plugin that writes `NAME EVENT` into a book that several share, after a pause, and may ask the site something first."""

import json
import sys
import time

BOOK, NAME, PAUSE = sys.argv[1], sys.argv[2], float(sys.argv[3])
ASKS = "asks" in sys.argv[4:]
MANIFEST = {"subscriptions": [{}]}


def send(message):
    """Writes one message."""
    print(json.dumps(dict({"jsonrpc": "2.0"}, **message)), flush=True)


event = None
for line in sys.stdin:
    msg = json.loads(line)
    if msg.get("method") == "event":
        time.sleep(PAUSE)
        event = msg
        if ASKS:
            params = {"entity_type": "Shot", "filters": [], "fields": ["id"], "_meta": {"parent": msg["id"]}}
            send({"id": 1, "method": "sg.find", "params": params})
            continue
    if "method" not in msg and "id" in msg or msg.get("method") == "event":
        if "error" in msg:
            send({"id": event["id"], "error": {"code": -32000, "message": json.dumps(msg["error"])}})
            continue
        with open(BOOK, "a", encoding="utf-8") as book:
            book.write("%s %d\n" % (NAME, event["params"]["event"]["id"]))
        send({"id": event["id"], "result": {}})
    elif "id" in msg:
        send({"id": msg["id"], "result": {"protocol": 1, "manifest": MANIFEST}})

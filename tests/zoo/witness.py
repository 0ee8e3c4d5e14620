#!/usr/bin/env python3
"""A healthy plugin that writes each event's id to the disk before it answers: what it wrote, it was handed."""

import json
import os
import sys
import time

PAUSE = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0

with open(sys.argv[1], "a", encoding="utf-8") as book:
    for line in sys.stdin:
        msg, result = json.loads(line), {}
        if msg.get("method") == "initialize":
            result = {"protocol": 1, "manifest": {"subscriptions": [{}]}}
        elif msg.get("method") == "event":
            book.write("%d\n" % msg["params"]["event"]["id"])
            book.flush()
            os.fsync(book.fileno())
            time.sleep(PAUSE)
        if "method" in msg and "id" in msg:
            print(json.dumps({"jsonrpc": "2.0", "id": msg["id"], "result": result}), flush=True)

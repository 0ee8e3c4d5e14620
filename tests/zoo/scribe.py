#!/usr/bin/env python3
"""A healthy plugin that writes down what it was handed of each event: id, entity, new value; of a long one the length.

scribe.py BOOK [whole]: with `whole` each event as it is.
"""

import json
import sys

with open(sys.argv[1], "a", encoding="utf-8") as book:
    for line in sys.stdin:
        msg, result = json.loads(line), {}
        if msg.get("method") == "initialize":
            result = {"protocol": 1, "manifest": {"subscriptions": [{}]}}
        elif msg.get("method") == "event":
            event = msg["params"]["event"]
            value = (event.get("meta") or {}).get("new_value")
            if isinstance(value, str) and len(value) > 1000:
                value = len(value)
            short = [event["id"], event.get("entity"), value]
            book.write(json.dumps(event if sys.argv[2:] == ["whole"] else short) + "\n")
            book.flush()
        if "method" in msg and "id" in msg:
            print(json.dumps({"jsonrpc": "2.0", "id": msg["id"], "result": result}), flush=True)

#!/usr/bin/env python3
"""A whole plugin without any library: the protocol is one JSON object per line."""

import json
import sys

for line in sys.stdin:
    msg, result = json.loads(line), {}
    if msg["method"] == "initialize":
        result = {"protocol": 1, "manifest": {"subscriptions": [{"events": {"Shotgun_Task_Change": ["sg_status_list"]}}]}}
    elif msg["method"] == "event":
        print("changed:", msg["params"]["event"]["entity"], file=sys.stderr)
    if "id" in msg:
        print(json.dumps({"jsonrpc": "2.0", "id": msg["id"], "result": result}), flush=True)

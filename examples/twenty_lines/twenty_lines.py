#!/usr/bin/env python3
"""A whole plugin without any library: the protocol is one JSON object per line."""

import json
import sys

for line in sys.stdin:
    msg, answer = json.loads(line), {"result": {}}
    if msg["method"] == "initialize":
        manifest = {"subscriptions": [{"events": {"Shotgun_Task_Change": ["sg_status_list"]}}]}
        answer = {"result": {"protocol": 1, "manifest": manifest}}
    elif msg["method"] == "event":
        print("changed:", msg["params"]["event"]["entity"], file=sys.stderr)
    elif msg["method"] not in ("start", "shutdown"):
        answer = {"error": {"code": -32601, "message": "unknown method"}}
    if "id" in msg:
        print(json.dumps({"jsonrpc": "2.0", "id": msg["id"], **answer}), flush=True)

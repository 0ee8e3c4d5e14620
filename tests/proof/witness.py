#!/usr/bin/env python3
"""The witness: a healthy plugin that writes down each event on the disk before it answers.

witness.py BOOK [PAUSE [FAILS]]: each event takes PAUSE seconds; an event whose id FAILS divides is refused every time.
A line of the book says what was handed over and what the answer will be; `start` is when its process began. Times are
those of CLOCK_MONOTONIC, which all processes of a machine share. `recheck.py` reads it.
"""

import json
import os
import sys
import time

PAUSE = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
FAILS = int(sys.argv[3]) if len(sys.argv) > 3 else 0
START = time.monotonic()
GENERATION = None
SYNC_S = [0.0]  # what the last line took to reach the disk

# One write for each line, so that a line is whole or the last.
BOOK = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def handle(params):
    """Writes an event down, and returns the answer to it."""
    event, delivery = params["event"]["id"], params["delivery"]
    is_refused = FAILS and event % FAILS == 0
    line = {
        "event": event,
        "attempt": delivery["attempt"],
        "replay": delivery.get("replay", False),
        "answer": "retry" if is_refused else "ok",
        "generation": GENERATION,
        "pid": os.getpid(),
        "start": START,
        "at": time.monotonic(),
        "last_sync_s": SYNC_S[0],
    }
    os.write(BOOK, (json.dumps(line) + "\n").encode())
    os.fsync(BOOK)
    SYNC_S[0] = time.monotonic() - line["at"]
    time.sleep(PAUSE)
    return {"status": "retry", "after_ms": 50, "reason": "it is refused here"} if is_refused else {}


for line in sys.stdin:
    msg, result = json.loads(line), {}
    if msg.get("method") == "initialize":
        GENERATION = msg["params"]["plugin"]["generation"]
        result = {"protocol": 1, "manifest": {"subscriptions": [{}]}}
    elif msg.get("method") == "event":
        result = handle(msg["params"])
    if "method" in msg and "id" in msg:
        print(json.dumps({"jsonrpc": "2.0", "id": msg["id"], "result": result}), flush=True)

#!/usr/bin/env python3
"""The pulse: a healthy plugin that asks the daemon something all the time, and writes down how long each answer took.

pulse.py BOOK: a line for each question, `at` in CLOCK_MONOTONIC when it was asked and `took` in seconds. It wants no
events. What another plugin, the site or the disk does to it is what `quiet` of the yardstick tells.
"""

import json
import sys
import threading
import time

PAUSE_S = 0.01
# One write for each line, so that a line is whole or the last.
BOOK = open(sys.argv[1], "ab", buffering=0)
ANSWERED = threading.Event()
LOCK = threading.Lock()


def send(message):
    """Writes one message to the daemon."""
    with LOCK:
        print(json.dumps(dict({"jsonrpc": "2.0"}, **message)), flush=True)


def beat():
    """Asks, waits, writes down."""
    number = 0
    while True:
        number += 1
        at = time.monotonic()
        send({"id": number, "method": "state.get", "params": {"key": "pulse"}})
        ANSWERED.wait()
        ANSWERED.clear()
        BOOK.write((json.dumps({"at": at, "took": time.monotonic() - at}) + "\n").encode())
        time.sleep(PAUSE_S)


for line in sys.stdin:
    msg = json.loads(line)
    if "method" not in msg:
        ANSWERED.set()
        continue
    result = {}
    if msg["method"] == "initialize":
        result = {"protocol": 1, "manifest": {"subscriptions": [{"events": {"None_Of_Ours": None}}]}}
    if "id" in msg:
        send({"id": msg["id"], "result": result})
    if msg["method"] == "start":
        threading.Thread(target=beat, daemon=True).start()

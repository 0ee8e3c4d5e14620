#!/usr/bin/env python3
"""A healthy plugin of the tests: it writes down all that it is handed, and does with an event what a test's lines say."""

import itertools
import json
import os
import queue
import sys
import threading
import time

BOOK = "@BOOK@"
MANIFEST = {"subscriptions": [{}]}
NUMBERS = itertools.count(1)
LOCK = threading.Lock()
ANSWERS = {}
OPEN = threading.local()


def note(**what):
    """Writes a line to the disk before anything else happens."""
    line = json.dumps(dict(what, at=time.time(), pid=os.getpid())) + "\n"
    with LOCK, open(BOOK, "a", encoding="utf-8") as book:
        book.write(line)
        book.flush()
        os.fsync(book.fileno())


def send(message):
    """Writes one message to the daemon."""
    with LOCK:
        sys.stdout.write(json.dumps(dict({"jsonrpc": "2.0"}, **message)) + "\n")
        sys.stdout.flush()


def call(method, /, **params):
    """Asks the daemon in the name of the open event, and writes the answer down."""
    number = next(NUMBERS)
    ANSWERS[number] = queue.Queue()
    meta = dict({"parent": getattr(OPEN, "id", None)}, **params.pop("meta", {}))
    send({"id": number, "method": method, "params": dict(params, _meta=meta)})
    answer = ANSWERS[number].get()
    del ANSWERS[number]
    note(call=method, answer=answer.get("result"), error=answer.get("error"))
    return answer


def handle(event, delivery):
    """What a test's lines replace: the answer to an event."""
    return {}


def told(msg):
    """What a test's lines replace: any other message."""


# @BODY@


def work(msg):
    """One event."""
    OPEN.id = msg["id"]
    event, delivery = msg["params"]["event"], msg["params"]["delivery"]
    note(event=event["id"], attempt=delivery["attempt"], delivery=delivery)
    try:
        answer = {"result": handle(event, delivery)}
    except Exception as error:
        data = {"type": type(error).__name__, "traceback": "Traceback: here"}
        answer = {"error": {"code": -32000, "message": repr(error), "data": data}}
    note(done=event["id"])
    send(dict(answer, id=msg["id"]))


for text in sys.stdin:
    msg = json.loads(text)
    if "method" not in msg:
        ANSWERS[msg["id"]].put(msg)
    elif msg["method"] == "event":
        threading.Thread(target=work, args=(msg,), daemon=True).start()
    else:
        told(msg)
        note(method=msg["method"], params=msg.get("params"))
        if msg["method"] == "initialize":
            send({"id": msg["id"], "result": {"protocol": 1, "manifest": MANIFEST}})
        elif "id" in msg:
            send({"id": msg["id"], "result": {}})

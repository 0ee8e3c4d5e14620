#!/usr/bin/env python3
"""A plugin with one vice, named by its first argument. All else that it does is right."""

import json
import os
import signal
import subprocess
import sys
import time

VICE = sys.argv[1]
NOTE = sys.argv[2] if len(sys.argv) > 2 else None
MANIFEST = {"protocol": 1, "manifest": {"subscriptions": [{}]}}


def raw(text):
    """Writes to the daemon, whatever it is."""
    sys.stdout.write(text)
    sys.stdout.flush()


def send(message):
    """Writes one message."""
    raw(json.dumps(dict({"jsonrpc": "2.0"}, **message)) + "\n")


def answer(msg, result):
    """Answers a request."""
    send({"id": msg["id"], "result": result})


def sleep_for_ever():
    """Until something ends it."""
    while True:
        time.sleep(60)


def before():
    """Vices that need no message."""
    if VICE == "exits_at_once":
        print("no licence for today", file=sys.stderr)
        sys.exit(1)
    if VICE == "exits_78":
        print("this is the wrong studio", file=sys.stderr)
        sys.exit(78)
    if VICE == "never_answers_handshake":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sleep_for_ever()
    if VICE == "prints_before_it_speaks":
        raw("Loading the studio's library ...\n{not json\nhalf a line: ")
    if VICE == "closes_stdout":
        os.close(1)
        sleep_for_ever()
    if VICE == "ignores_sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if VICE == "leaves_grandchildren":
        child = subprocess.Popen(["setsid", "sleep", "300"])
        same_group = subprocess.Popen(["sleep", "301"])
        with open(NOTE, "w", encoding="utf-8") as note:
            note.write("%d %d" % (child.pid, same_group.pid))


def stop_reading(msg):
    """Calls and calls, and never looks at an answer."""
    for number in range(1000000):
        send({"id": number, "method": "state.set", "params": {"key": "k", "value": "x" * 4000}})
    answer(msg, {})


def event(msg):
    """What it does before it answers an event."""
    number = msg["params"]["event"]["id"]
    if VICE == "answers_garbage":
        raw("\x00\x01 what? {]}\n[1, 2]\n\"text\"\n{\"jsonrpc\": \"2.0\"}\n{\"id\": true}\n\n")
    elif VICE == "echoes":
        raw(json.dumps(msg) + "\n")
    elif VICE == "wrong_id":
        send({"id": msg["id"] + 500000, "result": {}})
        send({"id": "1000003", "result": {}})
        send({"id": None, "result": {}})
    elif VICE == "answers_twice":
        answer(msg, {})
    elif VICE == "line_of_20_mb":
        raw("x" * (20 << 20) + "\n")
    elif VICE == "half_a_line_and_death":
        raw('{"jsonrpc": "2.0", "id": %d, "resu' % msg["id"])
        os._exit(3)
    elif VICE == "crashes_on_one_event" and str(number) == NOTE:
        print("cannot bear event", number, file=sys.stderr)
        os._exit(11)
    elif VICE == "stops_reading":
        stop_reading(msg)
    elif VICE == "hangs":
        sleep_for_ever()


def main():
    """The twenty lines."""
    before()
    for line in sys.stdin:
        msg = json.loads(line)
        if "method" not in msg or "id" not in msg:
            continue
        if msg["method"] == "initialize":
            answer(msg, dict(MANIFEST, protocol=99) if VICE == "wrong_version" else MANIFEST)
        elif msg["method"] != "event":
            answer(msg, {})
            if msg["method"] == "shutdown" and VICE == "ignores_sigterm":
                sleep_for_ever()
        else:
            event(msg)
            answer(msg, {})
    if VICE == "ignores_sigterm":
        sleep_for_ever()


main()

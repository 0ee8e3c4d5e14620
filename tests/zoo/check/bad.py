"""A plugin with one fault, named on the command line; `good` has none. Each is found by `sgeventd check` by one rule.

Run as `python3 bad.py FAULT`. What it should do stands in protocol/v1/PROTOCOL.md.
"""

import json
import os
import sys
import threading

FAULT = sys.argv[1]
EVENTS = {"Shotgun_Task_Change": ["sg_status_list"]}
MANIFEST = {"name": FAULT, "subscriptions": [{"events": EVENTS}]}
calls = 0
seen = 0
current = None
seen_methods = set()


def say(*messages):
    """Writes messages, all at once."""
    lines = [json.dumps(dict({"jsonrpc": "2.0"}, **message)) + "\n" for message in messages]
    text = "".join(lines)
    if FAULT == "leaves_out_the_newline" and "shutdown" in seen_methods:
        text = text.rstrip()
    elif FAULT == "never_ends_a_line":
        text = text.rstrip()
    sys.stdout.write(text)
    sys.stdout.flush()


def answer(request, result):
    say({"id": request, "result": result})


def call(method, params, parent=None):
    """Writes, then reads lines until its id."""
    global calls
    calls += 1
    mine = calls
    if parent is not None:
        params = dict(params, _meta={"parent": parent})
    say({"id": mine, "method": method, "params": params})
    if FAULT == "never_reads_its_answer":
        threading.Event().wait()
    if FAULT == "ends_early":
        return None
    while True:
        reply = json.loads(sys.stdin.buffer.readline())
        if FAULT == "takes_any_line_for_its_answer" and reply.get("id") != mine:
            raise SystemExit(3)
        if "method" not in reply and reply.get("id") == mine:
            if FAULT == "dies_when_a_call_fails" and "error" in reply:
                raise SystemExit(4)
            return reply.get("result")


CALLS = {
    "good": ("sg.find_one", {"entity_type": "Task", "filters": []}),
    "never_reads_its_answer": ("sg.find_one", {"entity_type": "Task", "filters": []}),
    "takes_any_line_for_its_answer": ("sg.find_one", {"entity_type": "Task", "filters": []}),
    "dies_when_a_call_fails": ("sg.find_one", {"entity_type": "Task", "filters": []}),
    "ends_early": ("sg.find_one", {"entity_type": "Task", "filters": []}),
    "calls_what_is_not_there": ("sg.find_all", {"entity_type": "Task", "filters": []}),
    "calls_what_it_did_not_declare": ("sg.create", {"entity_type": "Note", "data": {"subject": "hello"}}),
    "calls_with_wrong_params": ("sg.find", {"filters": []}),
}
if FAULT == "calls_what_it_did_not_declare":
    MANIFEST["permissions"] = {"sg": ["find"]}
elif FAULT == "wrong_manifest":
    MANIFEST["delivery"] = {"order": "random"}
elif FAULT == "loses_one_of_several":
    MANIFEST["delivery"] = {"order": "entity", "max_in_flight": 4}


def work(message):
    """Handles one event, and answers it."""
    global seen, current
    request = message["id"]
    seen += 1
    if FAULT == "drops_an_event" and seen == 3:
        return
    if FAULT == "dies_at_a_large_event" and len(json.dumps(message)) > 500000:
        raise SystemExit(5)
    if FAULT in CALLS:
        method, params = CALLS[FAULT]
        call(method, params, request)
    elif FAULT == "names_a_foreign_parent":
        call("sg.find_one", {"entity_type": "Task", "filters": []}, 7)
    elif FAULT == "calls_without_reading":
        for number in range(9000):
            say({"id": number, "method": "state.get", "params": {"key": "k"}})
    elif FAULT == "answers_under_another_id":
        answer("mine", {})
    elif FAULT == "answers_ahead":
        answer(request + 1, {})
    elif FAULT == "prints":
        print("working on it")
    elif FAULT == "writes_a_long_line":
        say({"method": "log", "params": {"level": "info", "message": "x" * (17 << 20)}})
    elif FAULT == "sends_an_unknown_notification":
        say({"method": "progress", "params": {}})
    if FAULT == "handles_nothing":
        return answer(request, {"status": "dead", "reason": "no use for it"})
    if FAULT == "says_nothing_known":
        return answer(request, {"status": "fine"})
    if FAULT == "an_error_that_is_none":
        return say({"id": request, "error": "it broke"})
    if FAULT == "loses_one_of_several":
        current = request
        return threading.Timer(0.1, lambda: current == request and answer(request, {})).start()
    if FAULT == "calls_in_the_background":
        # In one write with the answer, so that no event is open. What it is answered is passed over in the loop below.
        find = {"id": seen, "method": "sg.find_one", "params": {"entity_type": "Task", "filters": []}}
        return say({"id": request, "result": {}}, find)
    answer(request, {"status": "ok"})
    if FAULT == "answers_twice":
        answer(request, {"status": "ok"})


def initialize(message):
    """Tells who it is."""
    if FAULT == "writes_before_start":
        call("sg.create", {"entity_type": "Note", "data": {"subject": "too early"}})
    version = 1
    if FAULT == "wrong_version":
        version = 2
    elif FAULT == "claims_any_version":
        version = message["params"]["protocol"]["supported"][0]
    answer(message["id"], {"protocol": version, "manifest": MANIFEST})


def main():
    """Reads until the end of input."""
    for line in sys.stdin.buffer:
        text = line.decode()
        for part in text.splitlines() if FAULT == "splits_at_u2028" else [text]:
            message = json.loads(part)
            if FAULT == "echoes":
                print(part.strip(), flush=True)
            take(message)
    if FAULT == "ignores_the_end_of_input":
        threading.Event().wait()


def take(message):
    """Takes one message."""
    method = message.get("method")
    seen_methods.add(method)
    if FAULT == "no_jsonrpc" and method == "start":
        sys.stdout.write(json.dumps({"id": message["id"], "result": {}}) + "\n")
        return sys.stdout.flush()
    if method == "initialize":
        if FAULT != "no_handshake":
            initialize(message)
    elif method == "start":
        answer(message["id"], {"disable": "no licence"} if FAULT == "disables_itself" else {})
        if FAULT == "leaves":
            raise SystemExit(0)
    elif method == "event":
        work(message)
    elif method == "shutdown":
        if FAULT == "ignores_shutdown":
            return
        answer(message["id"], {})
        if FAULT == "ends_with_7":
            raise SystemExit(7)
        if FAULT != "ignores_the_end_of_input":
            raise SystemExit(0)
    elif method == "$/cancel":
        if FAULT == "dies_at_a_cancel":
            raise SystemExit(8)
    elif method is not None and "id" in message and FAULT != "answers_any_request":
        say({"id": message["id"], "error": {"code": -32601, "message": "unknown method"}})
    elif method is not None and "id" in message:
        answer(message["id"], {})
    elif FAULT == "dies_at_an_unknown_method":
        raise KeyError(method)


if FAULT == "imports_what_is_not_there":
    import shotgun_api4  # noqa: F401
if FAULT == "dies_at_once":
    print("no licence for today", file=sys.stderr)
    sys.exit(1)
main()
os._exit(0)

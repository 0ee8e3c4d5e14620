"""What every beast does right: the handshake, an answer to each request, and a book of the events that it was handed.

A beast gives `run` what it does in place of that, by method: a function of the message, called before the answer. It returns
the answer's result, None for the usual one, or SILENCE for none at all. `reply` is called with the answers to its own calls.
"""

import json
import os
import sys
import time

NAME = os.environ["SGEVENTD_PLUGIN"]
#: What its test tells it, such as a path.
NOTE = sys.argv[1] if len(sys.argv) > 1 else ""
#: The folder of the test's studio.
STUDIO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MANIFEST = {"subscriptions": [{}]}
SILENCE = object()
_BOOK = os.open(os.path.join(STUDIO, NAME + ".book"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
_EVENTS = [0]
with open(os.path.join(STUDIO, NAME + ".lives"), "a", encoding="utf-8") as lives:
    lives.write("x")
    lives.flush()
    #: The how manieth of its processes this is.
    LIFE = os.fstat(lives.fileno()).st_size


def raw(text):
    """Writes to the daemon, whatever it is."""
    data = text if isinstance(text, bytes) else text.encode()
    while data:
        data = data[os.write(1, data):]


def send(message):
    """Writes one message."""
    raw(json.dumps(dict({"jsonrpc": "2.0"}, **message)) + "\n")


def answer(msg, result):
    """Answers a request."""
    send({"id": msg["id"], "result": result})


def say(text):
    """A line of its log."""
    print(text, file=sys.stderr, flush=True)


def sleep_for_ever():
    """Until something ends it."""
    while True:
        time.sleep(60)


def write_down(**line):
    """A line of its book, on the disk before anything else happens."""
    os.write(_BOOK, (json.dumps(line) + "\n").encode())
    os.fsync(_BOOK)


def is_first(count):
    """True for the first events that this process is handed: what is large or slow is not done with each."""
    return _EVENTS[0] <= count


def event_id(msg):
    """The site's id of an event."""
    return msg["params"]["event"]["id"]


def usual(msg):
    """The result that a healthy plugin answers with."""
    return {"protocol": 1, "manifest": MANIFEST} if msg["method"] == "initialize" else {}


def run(reply=None, **methods):
    """Reads to the end of the input."""
    for line in sys.stdin:
        msg = json.loads(line)
        if "method" not in msg:
            if reply:
                reply(msg)
            continue
        if msg["method"] == "event":
            _EVENTS[0] += 1
            write_down(event=event_id(msg), attempt=msg["params"]["delivery"]["attempt"], pid=os.getpid())
        acts = methods.get(msg["method"].replace("$/", ""))
        result = acts(msg) if acts else None
        if "id" in msg and result is not SILENCE:
            answer(msg, usual(msg) if result is None else result)

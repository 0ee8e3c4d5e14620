"""How fast is the SDK beside the bare read loop that every plugin could be?

Run: python3 tests/bench_loop.py [events] [rounds]. Prints events per second and the ratio, one lane and 64.

In: nothing. Out: a table.
Never: part of the test run; a loaded machine would make it lie.
"""

import json
import os
import select
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))

BARE = """
import json, sys
for line in sys.stdin:
    msg = json.loads(line)
    print(json.dumps({"jsonrpc": "2.0", "id": msg["id"], "result": {"status": "ok"}}), flush=True)
"""
SDK = """
from sgeventd import Plugin
plugin = Plugin(name="bench", max_in_flight=%d, order="%s")
@plugin.on()
def on_event(event, sg):
    pass
plugin.run()
"""
EVENT = {
    "type": "EventLogEntry", "id": 2011531, "event_type": "Shotgun_Task_Change", "attribute_name": "sg_status_list",
    "meta": {"type": "attribute_change", "attribute_name": "sg_status_list", "entity_type": "Task",
             "entity_id": 67378, "field_data_type": "status_list", "old_value": "wtg", "new_value": "ip"},
    "entity": {"type": "Task", "id": 67378, "name": "comp"}, "project": {"type": "Project", "id": 66, "name": "Sandbox"},
    "user": {"type": "HumanUser", "id": 108, "name": "A. Artist"},
    "session_uuid": "dd6a1d6a-83a0-11ec-8826-0242ac110006", "created_at": "2026-07-09T19:33:37Z",
}  # fmt: skip


def lines(count: int) -> "list[bytes]":
    body = json.dumps(EVENT, separators=(",", ":")).encode()
    head = b'{"jsonrpc":"2.0","id":%d,"method":"event","params":{"delivery":{"attempt":1,"deadline_ms":120000,'
    head += b'"behind":12,"match":["on_event"]},"_meta":{"traceparent":"00-1-1-01"},"event":'
    return [head % (1_000_001 + number) + body + b"}}\n" for number in range(count)]


def rate(program: str, count: int, window: int) -> float:
    environment = dict(os.environ, SGEVENTD_PLUGIN="bench", PYTHONPATH=os.path.dirname(HERE), PYTHONUNBUFFERED="1")
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
    )
    todo, warm = lines(count), 2000
    write, read = child.stdin.fileno(), child.stdout.fileno()
    sent = answered = 0
    begin = 0.0
    while answered < count:
        room = min(count, answered + window)
        if sent < room:
            data = b"".join(todo[sent:room])
            os.write(write, data) if window == 1 else _write_all(write, data)
            sent = room
        answered += os.read(read, 65536).count(b"\n")
        if not begin and answered >= warm:
            begin = time.perf_counter()
    took = time.perf_counter() - begin
    child.stdin.close()
    child.wait()
    return (count - warm) / took


def _write_all(fd: int, data: bytes) -> None:
    while data:
        select.select([], [fd], [])
        data = data[os.write(fd, data) :]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    cases = [
        ("one lane", 1, SDK % (1, "all")),
        ("64 lanes", 64, SDK % (64, "none")),
        ("64 lanes, 1 thread", 64, SDK % (1, "all")),
    ]
    for name, window, program in cases:
        bare = sorted(rate(BARE, count, window) for _ in range(rounds))[rounds // 2]
        ours = sorted(rate(program, count, window) for _ in range(rounds))[rounds // 2]
        print(f"{name:<20} bare {bare:>8.0f}/s   sdk {ours:>8.0f}/s   ratio {ours / bare:.2f}")


if __name__ == "__main__":
    main()

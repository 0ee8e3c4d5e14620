#!/usr/bin/python3
"""Says what it is and sees, sends a file and fetches it, and leaves a process that hides; all at its first event."""

import json
import os
import sys

import plain


def call(number, method, parent, **params):
    """Asks the daemon; nothing else is on its way meanwhile."""
    plain.send(id=number, method=method, params=dict(params, _meta={"parent": parent}))
    return json.loads(sys.stdin.readline())


def hide():
    """Two forks, a session of its own, no environment."""
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.closerange(0, 3)
        os.execve("/bin/sleep", ["sleep", "300"], {})
    os.wait()


def look():
    """What the kernel says of it, and what it may read of the daemon."""
    with open("/proc/self/status", encoding="utf-8") as status:
        told = dict(line.rstrip().split(":\t", 1) for line in status if ":\t" in line)
    with open("/proc/self/oom_score_adj", encoding="utf-8") as score:
        plain.say("CAPS", told["CapEff"], "NNP", told["NoNewPrivs"], "OOM", score.read().strip())
    with open("/proc/self/cgroup", encoding="utf-8") as group:
        plain.say("GROUP", group.read().split()[-1])
    for name, path in [
        ("environ", "/proc/%d/environ" % os.getppid()),
        ("mem", "/proc/%d/mem" % os.getppid()),
        ("credential", "/run/credentials/sgeventd.service/site.key"),
        ("journal", "/var/lib/sgeventd/journal.db"),
    ]:
        try:
            with open(path, "rb") as file:
                plain.say("READ", name, len(file.read(8)))
        except OSError as error:
            plain.say("READ", name, error.strerror)


def move_files(parent):
    """Its file goes to the site and comes back."""
    with open("mine.mov", "w", encoding="utf-8") as file:
        file.write("mine")
    data = {"code": "v", "project": {"type": "Project", "id": 1}}
    version = call(1, "sg.create", parent, entity_type="Version", data=data)["result"]["id"]
    sent = call(2, "sg.upload", parent, entity_type="Version", entity_id=version, path="mine.mov")
    plain.say("UPLOADED", sent.get("result"))
    call(3, "sg.download", parent, attachment=sent.get("result"), file_path="back.mov")
    plain.say("DOWNLOADED", "as its own" if os.stat("back.mov").st_uid == os.getuid() else "as another's")


def event(msg):
    """All of it."""
    look()
    hide()
    move_files(msg["id"])


sys.exit(plain.run(event))

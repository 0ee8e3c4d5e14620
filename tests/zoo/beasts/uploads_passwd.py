#!/usr/bin/env python3
"""Uploads what is not its own: by `..`, by an absolute path, by a link, from /proc; and downloads to there."""

import os

import tame

PASSWD = "../../../../../../../../../../etc/passwd"
TOLD = []
PATHS = []


def start(msg):
    """A link in its own folder, which it may write to."""
    data = msg["params"]["paths"]["data"]
    link = os.path.join(data, "innocent.txt")
    if not os.path.islink(link):
        os.symlink("/etc/passwd", link)
        os.symlink("/etc", os.path.join(data, "folder"))
    PATHS.extend([PASSWD, "/etc/passwd", link, os.path.join(data, "folder", "passwd"), os.path.join(data, PASSWD),
                  "/proc/self/environ", "/proc/%d/environ" % os.getppid(), "/proc/self/root/etc/passwd", "/dev/zero", "."])


def event(msg):
    """With its first event."""
    if tame.is_first(1):
        for number, path in enumerate(PATHS):
            params = {"entity_type": "Version", "entity_id": 1, "path": path}
            tame.send({"id": number, "method": "sg.upload", "params": params})
        params = {"attachment": {"url": "http://127.0.0.1/x"}, "file_path": "/etc/cron.d/of_a_plugin"}
        tame.send({"id": len(PATHS), "method": "sg.download", "params": params})


def reply(msg):
    """The code of each refusal."""
    TOLD.append([msg["id"], (msg.get("error") or {}).get("code")])
    if len(TOLD) == len(PATHS) + 1:
        tame.write_down(told=sorted(TOLD))


tame.run(start=start, reply=reply, event=event)

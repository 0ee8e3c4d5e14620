#!/usr/bin/env python3
"""Looks for the key of the site wherever its daemon may have left it, and says what it could read."""

import os

import tame

PLACES = ["environ", "mem", "maps", "auxv", "stack", "fd/0", "fd/1", "fd/2", "fd/9", "cwd/site.key", "root/etc/hostname"]


def get(path):
    """What came of it."""
    try:
        with open(path, "rb") as file:
            file.read(64)
        return "read"
    except OSError as error:
        return error.strerror


def look(msg):
    """In /proc of the daemon, and in the studio's own files."""
    files = ["/proc/%d/%s" % (os.getppid(), place) for place in PLACES]
    for path in files + [os.path.join(tame.STUDIO, name) for name in ("site.key", "state/journal.db", "state/lock")]:
        tame.write_down(tried=path, got=get(path))


tame.run(event=look)

#!/usr/bin/env python3
"""Becomes a daemon as the books say: two forks, a session of its own, no environment; and works on besides."""

import os
import signal

import tame

if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if os.fork():
        os._exit(0)
    os.chdir("/")
    with open(tame.NOTE, "w", encoding="utf-8") as note:
        note.write(str(os.getpid()))
    os.closerange(0, 100)
    os.execve("/bin/sleep", ["sleep", "300"], {})
os.wait()
tame.run()

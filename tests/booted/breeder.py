#!/usr/bin/python3
"""Forks until it may not, and says how far it came."""

import os
import signal
import sys

import plain


def event(_msg):
    """All of them wait for a signal, and get one."""
    children = []
    try:
        while len(children) < 1000:
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
        plain.say("BRED without end")
    except OSError as error:
        plain.say("BRED", len(children), error.strerror)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


sys.exit(plain.run(event))

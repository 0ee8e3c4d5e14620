#!/usr/bin/env python3
"""Stops itself by SIGSTOP in a handler, in its first life."""

import os
import signal

import tame


def stop(msg):
    """Goes on when somebody lets it."""
    if tame.LIFE == 1:
        os.kill(os.getpid(), signal.SIGSTOP)


tame.run(event=stop)

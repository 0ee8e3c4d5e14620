#!/usr/bin/python3
"""Eats more memory than it may, in children that are each below the limit of one process; its second process eats nothing."""

import os
import sys
import time

import plain

MIB = 1 << 20


def eat():
    """Four times 40 MiB, every page of it written to."""
    for _ in range(4):
        if os.fork() == 0:
            food = bytearray(40 * MIB)
            for page in range(0, len(food), 4096):
                food[page] = 1
            time.sleep(300)
    time.sleep(300)


def event(_msg):
    """Once in the life of its folder."""
    if os.path.exists("ate"):
        plain.say("HOG is back")
        return
    with open("ate", "w", encoding="utf-8"):
        pass
    eat()


sys.exit(plain.run(event))

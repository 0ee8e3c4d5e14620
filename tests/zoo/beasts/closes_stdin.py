#!/usr/bin/env python3
"""Closes its input once it is ready, and lives on, in its first life."""

import os

import tame


def start(msg):
    """Ready, and deaf for good."""
    if tame.LIFE == 1:
        os.close(0)
        tame.answer(msg, {})
        tame.sleep_for_ever()


tame.run(start=start)

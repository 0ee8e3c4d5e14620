#!/usr/bin/env python3
"""Closes its output before it has said a word, and lives on, in its first life."""

import os

import tame

if tame.LIFE == 1:
    os.close(1)
    tame.sleep_for_ever()
tame.run()

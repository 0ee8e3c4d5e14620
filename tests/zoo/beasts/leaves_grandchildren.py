#!/usr/bin/env python3
"""Starts two programs that outlive it, one of them in a session of its own, and writes down which."""

import subprocess

import tame

PROGRAMS = [subprocess.Popen(["setsid", "sleep", "300"]), subprocess.Popen(["sleep", "301"])]
with open(tame.NOTE, "w", encoding="utf-8") as note:
    note.write(" ".join(str(program.pid) for program in PROGRAMS))
tame.run()

#!/usr/bin/env python3
"""Writes what is no message, line by line, before it answers."""

import tame

GARBAGE = '\x01 what? {]}\n[1, 2]\n"text"\n{"jsonrpc": "2.0"}\n{"id": true}\n\n[]\n{}\n'

tame.run(event=lambda msg: tame.raw(GARBAGE))

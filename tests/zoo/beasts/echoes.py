#!/usr/bin/env python3
"""Prints each event as it was handed over, before it answers."""

import json

import tame

tame.run(event=lambda msg: tame.raw(json.dumps(msg) + "\n"))

#!/usr/bin/env python3
"""Does everything right, a quarter of a second for each event."""

import time

import tame

tame.run(event=lambda msg: time.sleep(0.25))

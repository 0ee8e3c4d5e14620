#!/usr/bin/env python3
"""Sleeps for ever in a handler, in its first life."""

import tame

tame.run(event=lambda msg: tame.sleep_for_ever() if tame.LIFE == 1 else None)

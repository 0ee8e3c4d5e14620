#!/usr/bin/env python3
"""Deletes its own file once it works."""

import os

import tame

tame.run(event=lambda msg: os.path.exists(__file__) and tame.is_first(1) and os.unlink(__file__) or None)

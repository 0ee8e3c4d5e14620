#!/usr/bin/env python3
"""Answers each event twice."""

import tame

tame.run(event=lambda msg: tame.answer(msg, {}))

#!/usr/bin/env python3
"""Prints lines, and half of one, where the protocol should begin."""

import tame

tame.raw("Loading the studio's library ...\n{not json\nhalf a line: ")
tame.run()

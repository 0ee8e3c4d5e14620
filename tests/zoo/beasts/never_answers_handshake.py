#!/usr/bin/env python3
"""Sleeps where it should shake hands."""

import tame

tame.sleep_for_ever()

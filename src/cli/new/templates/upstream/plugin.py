#!/usr/bin/env python3
"""Runs my_plugin.py under sgeventd; shotgunEvents needs my_plugin.py alone."""

import os

from sgeventd import upstream

if __name__ == "__main__":
    upstream.run(os.path.join(os.path.dirname(os.path.abspath(__file__)), "my_plugin.py"))

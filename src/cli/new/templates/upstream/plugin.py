#!/usr/bin/env python3
"""Runs my_plugin.py under sgeventd; shotgunEvents needs my_plugin.py alone."""

import os

try:
    from sgeventd import upstream
except ModuleNotFoundError:  # the daemon brings the package; by hand, say where it is
    raise SystemExit("run it so: PYTHONPATH=$(sgeventd sdk python) python3 plugin.py; or: sgeventd check .") from None

if __name__ == "__main__":
    upstream.run(os.path.join(os.path.dirname(os.path.abspath(__file__)), "my_plugin.py"))

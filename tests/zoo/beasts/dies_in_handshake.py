#!/usr/bin/env python3
"""Dies of an error that its author did not think of, between `initialize` and its answer."""

import tame


def initialize(msg):
    """An import as they fail in studios."""
    import sgtk_of_another_studio  # noqa: F401


tame.run(initialize=initialize)

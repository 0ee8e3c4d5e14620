#!/bin/sh
# Ends at once, as if all were done.
exit 0

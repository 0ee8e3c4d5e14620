#!/bin/sh
# Greets, and ends at once, as if all were done.
echo hello
exit 0

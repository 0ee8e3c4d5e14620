"""Runs the tests under every Python from 3.7 that is here, with nothing installed.

Run: python3 tests/run_all_pythons.py. Finds ~/.pyenv/versions/*/bin/python3 and python3.N on PATH.

In: interpreters. Out: one line each; exit 1 when one fails.
Never: pytest, a virtual environment.
"""

import glob
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ASK = "import sys; print('%d.%d.%d' % sys.version_info[:3])"


def interpreters():
    """Returns {version: path}, oldest first."""
    paths = glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python3"))
    paths += [path for path in (shutil.which(f"python3.{minor}") for minor in range(7, 20)) if path]
    found = {}
    for path in [*paths, sys.executable]:
        asked = subprocess.run([path, "-c", ASK], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if asked.returncode == 0:  # a pyenv shim without its version says no
            found.setdefault(tuple(map(int, asked.stdout.decode().split("."))), path)
    return {version: found[version] for version in sorted(found) if version >= (3, 7)}


def main():
    failed = 0
    for version, path in interpreters().items():
        environment = dict(os.environ, PYTHONPATH=os.path.dirname(HERE), PYTHONDONTWRITEBYTECODE="1")
        command = [path, "-W", "error::SyntaxWarning", "-m", "unittest", "discover", "-s", HERE]
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, check=False)
        text = ran.stdout.decode("utf-8", "replace").strip()
        print("{}.{}.{}: {}".format(*version, text.split("\n")[-1]), flush=True)
        if ran.returncode:
            failed += 1
            print(text)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs the tests under every Python from 3.7 that is here, with nothing installed.

Run: python3 tests/run_all_pythons.py. Finds ~/.pyenv/versions/*/bin/python3 and python3.N on PATH, the newest patch
of each minor version; the Python that runs this is always among them.

In: interpreters. Out: one line each; exit 1 when one fails, or runs no test.
Never: pytest, a virtual environment, a package from elsewhere.
"""

import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ASK = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
OLDEST = (3, 7)


def interpreters():
    """Returns {version: path}, oldest first."""
    paths = glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python3"))
    paths += [path for path in (shutil.which(f"python3.{minor}") for minor in range(7, 20)) if path]
    found = {}
    for path in [*paths, sys.executable]:
        asked = subprocess.run([path, "-c", ASK], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if asked.returncode == 0:  # a pyenv shim without its version says no
            found.setdefault(tuple(map(int, asked.stdout.decode().split("."))), path)
    newest = {version[:2]: version for version in sorted(found) if version >= OLDEST}
    chosen = {*newest.values(), sys.version_info[:3]}
    return {version: found[version] for version in sorted(chosen)}


def run(path):
    """Returns exit code and output of the tests under one interpreter."""
    environment = dict(os.environ, PYTHONPATH=os.path.dirname(HERE), PYTHONDONTWRITEBYTECODE="1")
    command = [path, "-W", "error::SyntaxWarning", "-m", "unittest", "discover", "-s", HERE]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, check=False)
    return ran.returncode, ran.stdout.decode("utf-8", "replace").strip()


def main():
    failed = 0
    found = interpreters()
    # Children and their pipes: the tests of one interpreter wait for the most part.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for version, (code, text) in zip(found, pool.map(run, found.values())):
            ran = re.search(r"Ran ([1-9]\d*) tests? in (\S+)", text)
            verdict = text.split("\n")[-1] if ran else "ran no test"
            print("{}.{}.{}: {} {}".format(*version, ran.group() if ran else "", verdict), flush=True)
            if code or not ran:
                failed += 1
                print(text)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

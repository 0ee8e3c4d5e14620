"""The official client's own tests of a live site, from its source package on PyPI, on the made-up site."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile

import pytest
import shotgun_api3

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BINARY = os.environ.get("SGEVENTD_BIN", str(ROOT / "target" / "debug" / "sgeventd"))
#: How many it has; fewer would mean that some were not found.
TESTS = 133
#: The smallest picture there is.
PICTURE = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb004300" + "01" * 64 + "ffc0000b080001000101011100ffc40014000100000000000000"
    "00000000000000000000ffc40014100100000000000000000000000000000000ffda0008010100003f007fffd9"
)


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """The tests as they were published, beside a stage of ours."""
    folder = tmp_path_factory.mktemp("official")
    version = shotgun_api3.shotgun.__version__
    fetch = ["pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(folder), f"shotgun_api3=={version}"]
    fetched = subprocess.run([sys.executable, "-m", *fetch], capture_output=True, text=True)
    if fetched.returncode != 0:
        assert "CI" not in os.environ, fetched.stderr
        pytest.skip("needs PyPI, for the client's source package")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (tests,) = folder.glob("*/tests")
    (tests / "__init__.py").touch()
    (tests / "base.py").write_text((HERE / "stage.py").read_text())
    for picture in ("sg_logo.jpg", "Noëlご.jpg"):
        (tests / picture).write_bytes(PICTURE)
    return tests.parent


def test_all_of_them_pass(suite):
    command = [BINARY, "sandbox", "--scenario", "empty", "--script", "suite", "--key", "suite-key", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as site:
        url = json.loads(site.stdout.readline())["url"].rstrip("/")
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "tests/test_api.py", "tests/test_api_long.py"],
            cwd=suite, env={**os.environ, "SITE_URL": url}, capture_output=True, text=True,
        )  # fmt: skip
        site.terminate()
    assert run.returncode == 0, run.stdout[-20_000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed and int(passed[1]) >= TESTS, run.stdout[-2_000:]
    assert "failed" not in run.stdout

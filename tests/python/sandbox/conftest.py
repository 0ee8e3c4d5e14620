"""A made-up site, started for each test from the built program."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import shotgun_api3

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("SGEVENTD_BIN", str(ROOT / "target" / "debug" / "sgeventd"))


class Site:
    """A running site and how to reach it."""

    def __init__(self, ready: dict[str, str]) -> None:
        self.url = ready["url"]
        self.script = ready["script"]
        self.key = ready["key"]

    def connect(self, **options: Any) -> shotgun_api3.Shotgun:
        return shotgun_api3.Shotgun(self.url, self.script, self.key, **options)

    def order(self, verb: str, **values: Any) -> dict[str, Any]:
        body = json.dumps({"verb": verb, **values}).encode()
        request = urllib.request.Request(f"{self.url}/_sandbox/ctl", body, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def armed(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/_sandbox/ctl", timeout=10) as answer:
            return json.load(answer)

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Gives an order by the command."""
        command = [BINARY, "sandbox", "ctl", *words]
        environment = {**os.environ, "SGEVENTD_SANDBOX": self.url}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)

    def truth(self) -> list[int]:
        with urllib.request.urlopen(f"{self.url}/_sandbox/truth", timeout=10) as answer:
            return json.load(answer)["ids"]


def start(scenario: str | None, *more: str, script: str = "tests") -> Iterator[Site]:
    command = [BINARY, "sandbox", "--script", script, "--seed", "7", "--json", *more]
    if scenario is not None:
        command += ["--scenario", scenario]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Site(json.loads(process.stdout.readline()))
        finally:
            process.terminate()
            assert process.wait(timeout=10) == 0


@pytest.fixture
def site() -> Iterator[Site]:
    yield from start("empty")


@pytest.fixture
def show() -> Iterator[Site]:
    yield from start("demo")


@pytest.fixture
def sg(site: Site) -> shotgun_api3.Shotgun:
    return site.connect()

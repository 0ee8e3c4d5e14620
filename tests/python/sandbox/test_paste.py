"""What `sgeventd sandbox` prints to be pasted works when it is: as it stands, in each of its four forms."""

from __future__ import annotations

import configparser
import contextlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator

import pytest
from conftest import BINARY

PATIENCE_SECONDS = 30
PLAIN = ("sandbox", "a-key")
ODD = ("it's \"one\" \\ of $them, Zoë", "50%(x)s ; # 'quoted' = :")


def starts(line: str) -> bool:
    return line.startswith("# ") and line.endswith("---")


class Printed:
    """Everything that was printed, cut at its headings."""

    def __init__(self, text: str) -> None:
        self.forms: dict[str, str] = {}
        for line in text.splitlines():
            if starts(line):
                name = line[2:].split(":")[0]
                self.forms[name] = ""
            elif self.forms:
                self.forms[name] += line + "\n"
        self.facts = dict(line.split(None, 1) for line in text.splitlines()[:3])


@pytest.fixture(params=[PLAIN, ODD], ids=["plain", "odd"])
def printed(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Printed]:
    script, key = request.param
    command = [BINARY, "sandbox", "--script", script, "--key", key, "--scenario", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        try:
            text = ""
            for line in process.stdout:
                text += line
                if line.strip() == "enabled = False":
                    break
            yield Printed(text)
        finally:
            process.terminate()
            assert process.wait(timeout=10) == 0


def test_the_site_is_named_first(printed: Printed) -> None:
    assert list(printed.facts) == ["url", "script", "key"]
    assert list(printed.forms) == ["sgeventd", "Python", "curl", "upstream"]


def test_our_config_is_accepted_and_the_daemon_runs_on_it(printed: Printed, tmp_path: pathlib.Path) -> None:
    *setup, run = printed.forms["sgeventd"].strip().splitlines()
    assert run == "sgeventd run -c sgeventd.toml"
    path = {"PATH": f"{pathlib.Path(BINARY).parent}:{os.environ['PATH']}"}
    check = "\n".join([*setup, "sgeventd check-config -c sgeventd.toml --json"])
    checked = subprocess.run(["sh", "-c", check], cwd=tmp_path, env=os.environ | path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    told = json.loads(checked.stdout)
    # Only root is told that plugins should be somebody else's.
    assert [finding for finding in told["findings"] if finding["key"] != "plugins"] == []
    script = "\n".join([*setup, "exec " + run])
    with subprocess.Popen(["sh", "-c", script], cwd=tmp_path, env=os.environ | path, stderr=subprocess.PIPE) as daemon:
        try:
            until = time.monotonic() + PATIENCE_SECONDS
            asked: list[str] = []
            while "read" not in asked:
                assert time.monotonic() < until, asked
                assert daemon.poll() is None, daemon.stderr and daemon.stderr.read()
                with urllib.request.urlopen(f"{printed.facts['url']}/_sandbox/asked", timeout=10) as answer:
                    asked = [call["method"] for call in json.load(answer)]
            with urllib.request.urlopen(f"{printed.facts['url']}/_sandbox/truth", timeout=10) as answer:
                assert json.load(answer)["refused"] == 0
        finally:
            daemon.terminate()
            assert daemon.wait(timeout=PATIENCE_SECONDS) == 0


def test_the_python_runs(printed: Printed) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(printed.forms["Python"], "pasted", "exec"), {})  # noqa: S102
    assert out.getvalue() == "{'type': 'Project', 'id': 1, 'name': 'Sandbox'}\n"


@pytest.mark.skipif(shutil.which("curl") is None and "CI" not in os.environ, reason="install curl")
def test_the_curl_runs(printed: Printed) -> None:
    done = subprocess.run(["sh", "-c", printed.forms["curl"]], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    entities = json.loads(done.stdout)["results"]["entities"]
    ids = [entity["id"] for entity in entities]
    assert len(ids) == 5
    assert ids == sorted(ids, reverse=True)
    assert entities[0]["event_type"].startswith("Shotgun_")


def test_upstream_reads_its_conf(printed: Printed, tmp_path: pathlib.Path) -> None:
    # As upstream does: the environment is the section that all others inherit from.
    conf = configparser.ConfigParser({name: value.replace("%", "%%") for name, value in os.environ.items()
                                      if name.isupper() and name != "NAME"})
    conf.read_string(printed.forms["upstream"])
    assert conf.get("shotgun", "server") == printed.facts["url"]
    assert conf.get("shotgun", "name") == printed.facts["script"]
    assert conf.get("shotgun", "key") == printed.facts["key"]
    assert conf.getboolean("shotgun", "use_session_uuid") is True
    for key in ("logMode", "logging", "conn_retry_sleep", "max_conn_retries", "fetch_interval", "max_event_batch_size"):
        assert conf.getint("daemon", key) > 0
    for key in ("pidFile", "eventIdFile", "logPath"):
        assert conf.get("daemon", key).startswith(str(tmp_path))
    assert conf.get("daemon", "logFile")
    assert conf.get("daemon", "timing_log") == "off"
    assert conf.getboolean("emails", "enabled") is False
    assert [path.strip() for path in conf.get("plugins", "paths").split(",")] == [f"{tmp_path}/plugins"]


@pytest.mark.parametrize("text", ["", " a", "a\nb"])
def test_a_key_that_no_file_could_hold_is_refused(text: str) -> None:
    done = subprocess.run([BINARY, "sandbox", "--key", text], capture_output=True, text=True, timeout=10)
    assert done.returncode == 64
    assert "allowed: a text" in done.stderr


@pytest.mark.parametrize("rate", ["nan", "-5", "inf", "1e9", "fast"])
def test_a_rate_that_makes_no_sense_is_refused(rate: str) -> None:
    done = subprocess.run([BINARY, "sandbox", "--listen", "127.0.0.1:0", "--rate", rate], capture_output=True, text=True, timeout=10)
    assert done.returncode == 64
    assert "allowed: a number from 0 to 10000" in done.stderr


@pytest.mark.parametrize("name", ["nowhere/x.jsonl", "."])
def test_a_dump_that_cannot_be_written_is_refused_at_once(tmp_path: pathlib.Path, name: str) -> None:
    command = [BINARY, "sandbox", "--listen", "127.0.0.1:0", "--dump", str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert (done.returncode, "cannot write" in done.stderr) == (74, True)
    assert list(tmp_path.iterdir()) == []

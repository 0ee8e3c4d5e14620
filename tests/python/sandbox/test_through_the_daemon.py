"""`sg` of a plugin is the official client: the same calls of two sites that are alike have the same results."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest
from conftest import BINARY, Site, start
from probe import PROJECT, probe

PROBE = pathlib.Path(__file__).with_name("probe.py")
SESSION = "dd6a1d6a-83a0-11ec-8826-0242ac110006"
PATIENCE_SECONDS = 30
CONFIG = """
[site]
url = "{url}"
script = "tests"
key = {{ file = "site.key" }}
[poll]
interval = "100ms"
max_interval = "200ms"
start_from = "oldest"
[state]
dir = "state"
[admin]
socket = "admin.sock"
[log]
file = "sgeventd.log"
[plugins]
paths = []
defaults = {{ start_from = "oldest" }}
[plugin.probe]
command = ["{python}", "-S", "{probe}"]
config = {{ out = "{out}" }}
"""


def ask_for_it(site: Site):
    """The event that the plugin waits for; both sites get it, so that their ids stay alike."""
    sg = site.connect()
    sg.set_session_uuid(SESSION)
    sg.create("EventLogEntry", {"event_type": "Studio_Probe", "project": PROJECT, "description": "begin"})
    return sg


def by_the_official_client():
    for site in start("empty"):
        return probe(ask_for_it(site))


def by_a_plugin(folder: pathlib.Path):
    out = folder / "told.json"
    for site in start("empty"):
        key = folder / "site.key"
        key.touch(mode=0o600)
        key.write_text(site.key)
        config = folder / "sgeventd.toml"
        config.write_text(CONFIG.format(url=site.url, python=sys.executable, probe=PROBE, out=out))
        ask_for_it(site)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with subprocess.Popen([BINARY, "run", "-c", config], env=environment, stderr=subprocess.PIPE) as daemon:
            try:
                end = time.monotonic() + PATIENCE_SECONDS
                while not (out.exists() and out.read_text().endswith("}")):
                    assert daemon.poll() is None, daemon.stderr.read().decode()
                    assert time.monotonic() < end, (folder / "sgeventd.log").read_text()
                    time.sleep(0.05)
            finally:
                daemon.terminate()
                assert daemon.wait(PATIENCE_SECONDS) == 0
        return json.loads(out.read_text())


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("daemon")
    return by_the_official_client(), by_a_plugin(folder), folder


def test_the_plugin_used_the_package_inside_the_daemon(both):
    _, plugin, folder = both
    assert plugin["sdk"] == str(folder / "state" / "sdk-python" / "sgeventd" / "__init__.py")


def test_every_call_has_the_same_result(both):
    official, plugin, _ = both
    assert len(official) > 40
    assert [name for name, _ in plugin["told"]] == [name for name, _ in official]
    for (name, theirs), (_, ours) in zip(official, plugin["told"]):
        assert timeless(ours) == timeless(theirs), name


def timeless(told):
    """Both ran at their own time: moments that stand in a text (`retirement_date`) are alike, whatever they are."""
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "a moment", json.dumps(told, sort_keys=True))


def test_most_calls_succeed_and_the_rest_are_faults(both):
    official, _, _ = both
    raised = {name: told["raised"] for name, told in official if isinstance(told, dict) and "raised" in told}
    assert set(raised.values()) == {"Fault"}
    assert sorted(raised) == [
        "a value that cannot be",
        "batch that fails",
        "no such entity",
        "no such field",
        "no such relation",
        "no such type",
    ]


def test_what_a_handler_writes_carries_the_session_of_its_event(both):
    _, plugin, _ = both
    assert plugin["session_uuid"] == SESSION
    events = dict(plugin["told"])["events"][1:]
    assert {event["session_uuid"] for event in events} == {SESSION}

"""A plugin as a real child on its real pipe, and a daemon that a test plays by hand.

In: the source of a plugin. Out: what it writes.
Never: sleep; every wait is for a line or an exit.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading

SDK = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEADLINE_SECONDS = 10  # a child that says nothing for so long has failed the test


class Child:
    """One process; lines in and out as Python values."""

    def __init__(self, source=None, path=None, env=None, command=None):
        self._folder = tempfile.TemporaryDirectory()
        self.path = path or os.path.join(self._folder.name, "plugin.py")
        if source is not None:
            with open(self.path, "w", encoding="utf-8") as file:
                file.write(source)
        environment = dict(os.environ, PYTHONPATH=SDK, PYTHONUNBUFFERED="1", SGEVENTD_PLUGIN="tried")
        environment.update(env or {})
        self.process = subprocess.Popen(
            command or [sys.executable, self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        self._alarm = threading.Timer(DEADLINE_SECONDS, self.process.kill)
        self._alarm.start()
        self._stderr = b""
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        self._last_id = 1000000

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.end()
        self._folder.cleanup()

    def _listen(self):
        self._stderr = self.process.stderr.read()

    def raw(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, method, params=None, **more):
        """Sends a request; returns its id."""
        self._last_id += 1
        message = {"jsonrpc": "2.0", "id": self._last_id, "method": method}
        if params is not None:
            message["params"] = params
        self.raw(json.dumps(dict(message, **more)).encode() + b"\n")
        return self._last_id

    def notify(self, method, params):
        self.raw(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode() + b"\n")

    def reply(self, call, result=None, error=None):
        """Answers a call of the plugin's."""
        outcome = {"result": result} if error is None else {"error": error}
        self.raw(json.dumps(dict({"jsonrpc": "2.0", "id": call["id"]}, **outcome)).encode() + b"\n")

    def read(self):
        line = self.process.stdout.readline()
        assert line, "the child ended; its last words:\n" + self.end()[1]
        return json.loads(line.decode())

    def start(self, **params):
        """The handshake; returns the answer to `initialize`."""
        self.send("initialize", {"protocol": {"supported": [1]}})
        hello = self.read()
        self.send("start", params)
        assert self.read()["result"] == {}
        return hello

    def event(self, match=("on_event",), delivery=None, **event):
        """Sends an event; returns the id of the request."""
        described = dict({"attempt": 1, "deadline_ms": 1000, "behind": 0, "match": list(match)}, **(delivery or {}))
        return self.send("event", {"delivery": described, "event": dict({"id": 7, "event_type": "X"}, **event)})

    def end(self):
        """Closes the input; returns exit code and stderr."""
        if not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        code = self.process.wait()
        self._alarm.cancel()
        self._listener.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return code, self._stderr.decode("utf-8", "replace")


def plugin(body, options=""):
    """Returns the source of a plugin with this body."""
    return (
        "from sgeventd import *\nimport os, sys, threading, subprocess, logging\n"
        "plugin = Plugin(name='tried'" + options + ")\n" + body + "\nplugin.run()\n"
    )


def handler(body, options="", registered="@plugin.on()"):
    """Returns the source of a plugin with one handler, `on_event(event, sg)`."""
    indented = "".join("    " + line + "\n" for line in body.strip("\n").split("\n"))
    return plugin(registered + "\ndef on_event(event, sg):\n" + indented, options)

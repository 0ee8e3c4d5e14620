"""Start, stop, and what must never break the pipe."""

import os
import unittest

from child import Child, handler, plugin


class Life(unittest.TestCase):
    def test_the_handshake_tells_the_manifest(self):
        source = handler(
            "pass",
            options=", version='2', description='d', max_in_flight=4, order='entity', timeout=9, on_error='stop',"
            "permissions={'sg': ['find']}, watch=['lib/*.py']",
            registered="@plugin.on({'A': ['b'], 'C': None}, where=[['project.id', 'in', (1, 2)]], id='mine')",
        )
        with Child(source) as child:
            answer = child.start()["result"]
        manifest = answer["manifest"]
        assert answer["protocol"] == 1
        assert manifest["subscriptions"] == [
            {"id": "mine", "events": {"A": ["b"], "C": None}, "where": [["project.id", "in", [1, 2]]]}
        ]
        assert manifest["delivery"] == {"max_in_flight": 4, "order": "entity", "timeout_ms": 9000, "on_error": "stop"}
        assert manifest["permissions"] == {"sg": ["find"]}
        assert manifest["watch"] == sorted(["lib/*.py", child.path])

    def test_another_protocol_is_refused(self):
        with Child(handler("pass")) as child:
            child.send("initialize", {"protocol": {"supported": [2]}})
            error = child.read()["error"]
            assert (error["code"], error["data"]) == (-32002, {"supported": [1]})

    def test_start_brings_config_and_paths(self):
        body = "@plugin.on_start\ndef begin(config):\n    plugin.log.info('%s %s', config['a'], plugin.paths.data)\n"
        with Child(plugin(body)) as child:
            child.send("initialize", {"protocol": {"supported": [1]}})
            child.read()
            child.send("start", {"config": {"a": 1}, "paths": {"data": "/d", "tmp": "/t"}, "log_level": "debug"})
            assert child.read()["params"]["message"] == "1 /d"
            assert child.read()["result"] == {}

    def test_a_plugin_may_refuse_to_run(self):
        with Child(plugin("@plugin.on_start\ndef begin(): raise Disable('no licence')\n")) as child:
            child.send("initialize", {"protocol": {"supported": [1]}})
            child.read()
            child.send("start", {})
            assert child.read()["result"] == {"disable": "no licence"}

    def test_a_start_that_fails_says_why(self):
        with Child(plugin("@plugin.on_start\ndef begin(config): config['gone']\n")) as child:
            child.send("initialize", {"protocol": {"supported": [1]}})
            child.read()
            child.send("start", {})
            assert child.read()["error"]["data"]["type"] == "KeyError"

    def test_disable_in_a_handler_ends_with_78(self):
        with Child(handler("raise Disable('licence expired')")) as child:
            child.start()
            child.event()
            code, words = child.end()
        assert code == 78
        assert "licence expired" in words

    def test_shutdown_is_answered_after_the_last_event(self):
        body = "@plugin.on()\ndef on_event(event): pass\n@plugin.on_stop\ndef end(): plugin.log.info('bye')\n"
        with Child(plugin(body)) as child:
            child.start()
            event, shutdown = child.event(), child.send("shutdown")
            assert child.read()["id"] == event
            assert child.read()["params"]["message"] == "bye"
            assert child.read() == {"jsonrpc": "2.0", "id": shutdown, "result": {}}
            assert child.process.wait() == 0

    def test_the_end_of_the_input_is_the_end(self):
        for options in ("", ", max_in_flight=8, order='none'"):
            with Child(handler("pass", options)) as child:
                child.start()
                child.event()
                child.read()
                assert child.end() == (0, "")

    def test_a_daemon_that_stops_reading_ends_it_quietly(self):
        with Child(handler("pass")) as child:
            child.start()
            child.process.stdout.close()
            child.event()
            child.process.stdin.close()
            assert child.process.wait() == 0

    def test_run_by_hand_it_prints_help(self):
        with Child(handler("pass"), env={"SGEVENTD_PLUGIN": ""}) as child:
            text = child.process.stdout.read().decode()
            assert child.process.wait() == 64
        assert "sgeventd sandbox" in text
        assert "sgeventd dev" not in text  # a verb that the daemon does not have
        assert "on_event" in text

    def test_at_a_terminal_it_prints_help_whatever_the_environment_says(self):
        import pty
        import subprocess
        import sys

        from child import SDK

        ours, terminal = pty.openpty()
        environment = dict(os.environ, PYTHONPATH=SDK, SGEVENTD_PLUGIN="tried")
        command = [sys.executable, "-c", handler("pass")]
        try:
            ran = subprocess.run(
                command, stdin=terminal, stdout=subprocess.PIPE, env=environment, timeout=10, check=False
            )
        finally:
            os.close(ours)
            os.close(terminal)
        assert ran.returncode == 64
        assert b"not started by hand" in ran.stdout

    def test_an_interrupt_ends_it_without_an_answer(self):
        import signal

        # Whoever starts tests in the background of a shell may have it ignored, and children inherit that.
        heard = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        for options in ("", ", max_in_flight=4, order='none'"):
            with Child(heard + handler("plugin.log.info('on'); sg.find('Shot', [])", options)) as child:
                child.start()
                child.event()
                assert child.read()["params"]["message"] == "on"
                assert child.read()["method"] == "sg.find"
                child.process.send_signal(signal.SIGINT)
                assert child.process.stdout.read() == b""
                code, words = child.end()
            assert code in (-signal.SIGINT, 1)  # 1 is Python 3.7, and a worker that the process ends with
            assert "KeyboardInterrupt" in words

    def test_signals_that_the_author_takes_disturb_nothing(self):
        import signal

        body = (
            "import signal\nTAKEN = []\nsignal.signal(signal.SIGUSR1, lambda *_: TAKEN.append(1))\n"
            "@plugin.on()\ndef on_event(event):\n"
            "    while not TAKEN: threading.Event().wait(0.01)\n"  # taken by the main thread, which may not be this one
            "    plugin.log.info('taken')\n"
        )
        for options in ("", ", max_in_flight=4, order='none'"):
            with Child(plugin(body, options)) as child:
                child.start()
                for _ in range(100):
                    child.process.send_signal(signal.SIGUSR1)
                event = child.event()
                assert child.read()["params"]["message"] == "taken"
                assert child.read()["id"] == event
                assert child.end() == (0, "")

    def test_what_it_imports_is_watched_and_what_is_installed_is_not(self):
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            folder = os.path.realpath(folder)
            files = {"helper.py": "import json", "pack/__init__.py": "", "pack/inner.py": "", "unused.py": ""}
            os.mkdir(os.path.join(folder, "pack"))
            for name, text in files.items():
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            source = f"import sys\nsys.path.insert(0, {folder!r})\nimport helper, pack.inner\n" + handler("pass")
            with Child(source) as child:
                watched = child.start()["result"]["manifest"]["watch"]
            mine = [os.path.join(folder, name) for name in sorted(files) if name != "unused.py"]
            assert watched == sorted([*mine, child.path])

    def test_unknown_requests_are_refused_and_the_rest_is_ignored(self):
        with Child(handler("pass")) as child:
            child.start()
            child.raw(b"\xef\xbb\xbf\n\r\n[]\nnull\n17\nnot json\n")
            child.notify("$/unheard_of", {})
            child.notify("unheard_of", {})
            child.raw(b'{"jsonrpc":"2.0","id":{},"result":1}\n')
            request = child.send("unheard_of")
            answer = child.read()
            assert (answer["id"], answer["error"]["code"]) == (request, -32601)

    def test_nothing_that_is_printed_reaches_the_pipe(self):
        body = "print('py', end='')\nsys.stdout.write('out')\nos.write(1, b'raw')\nsubprocess.call(['sh', '-c', 'echo shell; cat; echo end'])"
        with Child(handler(body)) as child:
            child.start()
            for _ in range(3):
                request = child.event()
                assert child.read() == {"jsonrpc": "2.0", "id": request, "result": {"status": "ok"}}
            words = child.end()[1]
        for word in ("py", "out", "raw", "shell", "end"):
            assert words.count(word) == 3, word

    def test_long_lines_and_odd_separators_pass(self):
        with Child(handler("plugin.log.info('%d %s', len(event['text']), event['odd'])")) as child:
            child.start()
            child.event(text="x" * 3000000, odd="a\u2028b\u0000")
            assert child.read()["params"]["message"] == "3000000 a\u2028b\u0000"
            assert child.read()["result"] == {"status": "ok"}

    def test_a_line_may_come_in_pieces(self):
        with Child(handler("pass")) as child:
            child.start()
            line = b'{"jsonrpc":"2.0","id":5,"method":"event","params":{"delivery":{"match":[]},"event":{"id":1}}}\n'
            for index in range(len(line)):
                child.raw(line[index : index + 1])
            assert child.read()["id"] == 5

    def test_logging_of_any_kind_lands_in_the_daemons_log(self):
        body = (
            "plugin.log.warning('a %s', 1, extra={'shot': 'sh010'})\n"
            "try:\n    1 / 0\nexcept ZeroDivisionError:\n    logging.getLogger('lib').exception('b')"
        )
        with Child(handler(body)) as child:
            child.start()
            request = child.event()
            first, second = child.read()["params"], child.read()["params"]
        assert (first["level"], first["message"], first["_meta"]) == ("warn", "a 1", {"parent": request})
        assert first["fields"] == {"logger": "tried", "shot": "sh010"}
        assert (second["level"], second["fields"]["error"]) == ("error", "ZeroDivisionError: division by zero")

    def test_the_package_works_as_plain_files(self):
        import shutil
        import tempfile

        from child import SDK

        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(os.path.join(SDK, "sgeventd"), os.path.join(folder, "sgeventd"))
            with Child(handler("pass"), env={"PYTHONPATH": folder}) as child:
                assert child.start()["result"]["manifest"]["watch"] == [child.path]


if __name__ == "__main__":
    unittest.main()

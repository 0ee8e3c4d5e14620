"""What the tests of the official client expect of the site they run on: copied beside them as `tests/base.py`.

The client's source package on PyPI has its tests but not this module of theirs. It says where the site is (`SITE_URL`), how to
log in, and makes the rows that each test starts from.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import types
import unittest

import shotgun_api3

THUMBNAIL_MAX_ATTEMPTS = 30
THUMBNAIL_RETRY_INTERVAL = 0

#: By the keys that tell whether a row is there: its type, the attribute of a test that holds it, its values.
ROWS = [
    ("Project", "project", {"name": "Suite"}, ["name"]),
    ("HumanUser", "human_user", {"name": "Sue Suite", "login": "sue", "password_proxy": "suite-1"}, ["login"]),
    ("Asset", "asset", {"code": "a chair", "project": "project"}, ["code"]),
    ("Shot", "shot", {"code": "a shot", "project": "project"}, ["code"]),
    ("Version", "version", {"code": "a version", "project": "project", "entity": "asset", "user": "human_user", "frame_count": 33,
                            "sg_frames_aspect_ratio": 13.3}, ["code"]),
    ("Note", "note", {"content": "a note", "project": "project", "user": "human_user"}, ["project", "user"]),
    ("Playlist", "playlist", {"code": "a playlist", "project": "project"}, ["code"]),
    ("Step", "step", {"code": "a step", "entity_type": "Shot"}, ["code"]),
    ("Task", "task", {"content": "a task", "project": "project", "entity": "asset", "step": "step", "due_date": "1968-10-13", "color": "Black",
                      "task_assignees": ["human_user"], "sg_status_list": "ip"}, ["content"]),
    ("Ticket", "ticket", {"title": "a ticket", "project": "project", "sg_priority": "3"}, ["title"]),
    ("LocalStorage", "local_storage", {"code": "a storage", "linux_path": "/a", "mac_path": "/b", "windows_path": "c:/"}, ["code"]),
]  # fmt: skip

CONFIG = types.SimpleNamespace(
    server_url=os.environ["SITE_URL"], script_name="suite", api_key="suite-key", http_proxy=None, session_uuid=None, jenkins=None,
    human_login="sue", human_password="suite-1", human_name="Sue Suite", project_name="Suite", asset_code="a chair",
    version_code="a version", shot_code="a shot", task_content="a task", playlist_code="a playlist", ticket_title="a ticket",
)  # fmt: skip


def _find_or_create_entity(sg, kind, data, keys=("name",)):
    filters = [[key, "is", data[key]] for key in keys]
    return sg.find_one(kind, filters, list(data)) or sg.create(kind, data, list(data))


class TestBase(unittest.TestCase):
    """A client that has not called yet."""

    config = CONFIG

    def setUp(self, auth_mode="ApiUser"):
        self.server_url = CONFIG.server_url
        self.api_key = CONFIG.api_key
        self.script = {"script_name": CONFIG.script_name, "api_key": CONFIG.api_key}
        if auth_mode == "SessionToken":
            token = shotgun_api3.Shotgun(self.server_url, **self.script).get_session_token()
            self.auth_args = {"session_token": token}
        else:
            human = {"login": CONFIG.human_login, "password": CONFIG.human_password}
            self.auth_args = human if auth_mode == "HumanUser" else self.script
        self.sg = shotgun_api3.Shotgun(self.server_url, **self.auth_args, connect=False)


class LiveTestBase(TestBase):
    """A connection, and rows to work on."""

    def setUp(self, auth_mode="ApiUser"):
        super().setUp(auth_mode)
        stage = shotgun_api3.Shotgun(self.server_url, **self.script)
        made = {}
        for kind, name, template, keys in ROWS:
            data = {field: _filled(value, made) for field, value in template.items()}
            made[name] = _find_or_create_entity(stage, kind, data, keys)
        vars(self).update(made)
        self.server_address = self.sg.server_caps.host
        self.sg_version = self.sg.server_caps.version[:3]

    @contextlib.contextmanager
    def gen_entity(self, kind, **data):
        if kind == "HumanUser":
            data = {"login": f"somebody-{secrets.token_hex(4)}", "sg_status_list": "dis", "password_proxy": secrets.token_hex(8), **data}
        made = self.sg.create(kind, data, list(data))
        yield made
        assert self.sg.delete(kind, made["id"])

    def find_one_await_thumbnail(self, kind, filters, fields=("image",), thumbnail_field_name="image", **options):
        for _ in range(THUMBNAIL_MAX_ATTEMPTS):
            found = self.sg.find_one(kind, filters, list(fields), **options)
            if found and "/transient/" not in (found.get(thumbnail_field_name) or "/transient/"):
                return found
        raise AssertionError(f"no thumbnail of {kind} {filters}")


class HumanUserAuthLiveTestBase(LiveTestBase):
    def setUp(self):
        super().setUp("HumanUser")


class SessionTokenAuthLiveTestBase(LiveTestBase):
    def setUp(self):
        super().setUp("SessionToken")


def _filled(value, made):
    if isinstance(value, list):
        return [made[name] for name in value]
    return made.get(value, value) if isinstance(value, str) else value

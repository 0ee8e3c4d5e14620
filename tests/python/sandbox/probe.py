#!/usr/bin/env python3
"""Many calls of the site, written down: by the official client, or as a plugin by the SDK that the daemon brings.

In: anything with the official client's methods. Out: a list of `[name, result]` in JSON.
Never: a difference between the two.
"""

import datetime
import hashlib
import json
import os
import re
import tempfile

PROJECT = {"type": "Project", "id": 1}
COUNT = [{"field": "id", "type": "count"}]


def a_file(name, size=0):
    """Writes a file where a plugin may; returns its path."""
    path = os.path.join(tempfile.mkdtemp(), name)
    with open(path, "wb") as file:
        file.write(b"<" + b"0123456789abcdef" * (size // 16) + b">")
    return path


def fetched(download):
    """What a download wrote; `download` is given where."""
    path = os.path.join(tempfile.mkdtemp(), "fetched")
    assert download(path) == path
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def calls(sg):
    """Yields `(name, function)`; later ones use what earlier ones made."""
    kept = {}

    def keep(name, value):
        kept[name] = value
        return value

    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    day = datetime.date(2026, 1, 2)
    rows = [{"request_type": "create", "entity_type": "Shot", "data": {"code": f"s{n}", "project": PROJECT}} for n in range(7)]
    yield "info", lambda: sg.info()
    yield "create", lambda: keep("shot", sg.create("Shot", {"code": "a < b & é", "project": PROJECT}, ["sg_cut_in", "tasks"]))
    yield "create with dates", lambda: keep(
        "task",
        sg.create("Task", {"content": "comp", "project": PROJECT, "entity": kept["shot"], "due_date": day, "start_date": "2026-01-01"}),
    )
    yield "create for people", lambda: keep(
        "note", sg.create("Note", {"subject": "&lt;b>", "project": PROJECT, "note_links": [kept["shot"]]}, ["created_at"])
    )
    yield "batch", lambda: keep("rows", sg.batch(rows))
    yield "batch of nothing", lambda: sg.batch([])
    yield "batch of all kinds", lambda: sg.batch(
        [
            {"request_type": "update", "entity_type": "Shot", "entity_id": kept["rows"][0]["id"], "data": {"sg_cut_in": 5}},
            {"request_type": "create", "entity_type": "Shot", "data": {"code": "x", "project": PROJECT}, "return_fields": ["sg_status_list"]},
            {"request_type": "delete", "entity_type": "Shot", "entity_id": kept["rows"][6]["id"]},
        ]
    )
    yield "batch that fails", lambda: sg.batch([rows[0], {"request_type": "delete", "entity_type": "Shot", "entity_id": 4711}])
    yield "update", lambda: sg.update("Shot", kept["shot"]["id"], {"description": "d", "sg_cut_in": None})
    yield "update of nothing", lambda: sg.update("Shot", kept["shot"]["id"], {})
    yield "update by modes", lambda: sg.update(
        "Note", kept["note"]["id"], {"note_links": [kept["rows"][0]]}, multi_entity_update_modes={"note_links": "add"}
    )
    yield "the links then", lambda: sg.find_one("Note", [["id", "is", kept["note"]["id"]]], ["note_links", "subject"])
    yield "find", lambda: sg.find("Shot", [["project", "is", PROJECT]], ["code", "project", "tasks", "created_at", "nope"])
    yield "find in order", lambda: sg.find("Shot", [], ["code"], [{"field_name": "code", "direction": "desc"}], limit=3)
    yield "find by column", lambda: sg.find("Shot", [], ["code"], order=[{"column": "id"}], limit=2)
    yield "find one page", lambda: sg.find("Shot", [], ["code"], limit=2, page=2)
    yield "find any", lambda: sg.find("Shot", [["code", "is", "s1"], ["code", "is", "s2"]], ["code"], filter_operator="any")
    yield "find nested", lambda: sg.find(
        "Shot", [{"filter_operator": "any", "filters": [["code", "in", "s1", "s3"], ["sg_cut_in", "is", 5]]}], ["code"]
    )
    yield "find deep", lambda: sg.find("Task", [["entity.Shot.code", "contains", "<"]], ["entity.Shot.code", "entity", "due_date"])
    yield "find retired", lambda: sg.find("Shot", [], ["code"], retired_only=True)
    yield "find by moment", lambda: len(sg.find("Shot", [["created_at", "greater_than", moment]]))
    yield "find by wire filters", lambda: sg.find(
        "Shot", {"logical_operator": "or", "conditions": [{"path": "code", "relation": "is", "values": ["s4"]}]}, ["code"]
    )
    yield "find nobody", lambda: sg.find("Shot", [["id", "in", []]])
    yield "find_one", lambda: sg.find_one("Shot", [["code", "is", "s5"]])
    yield "find_one of none", lambda: sg.find_one("Shot", [["code", "is", "no such"]], ["code"])
    yield "find_one of a person", lambda: sg.find_one("HumanUser", [], ["name", "login", "groups", "can_impersonate_this_user"])
    yield "summarize", lambda: sg.summarize("Shot", [["project", "is", PROJECT]], COUNT)
    yield "summarize by groups", lambda: sg.summarize(
        "Shot", [], COUNT, grouping=[{"field": "project", "type": "exact", "direction": "asc"}]
    )
    yield "summarize dates", lambda: sg.summarize("Task", [], [{"field": "due_date", "type": "latest"}])
    yield "create for files", lambda: keep("version", sg.create("Version", {"code": "v", "project": PROJECT}))
    yield "upload", lambda: keep("attachment", sg.upload("Note", kept["note"]["id"], a_file("größe 1;x.txt", 100)))
    yield "upload to a field", lambda: sg.upload(
        "Version", kept["version"]["id"], a_file("b.mov", 5000), "sg_uploaded_movie", "Take 7", "one,two"
    )
    yield "upload in parts", lambda: sg.upload(
        "Version", kept["version"]["id"], a_file("c.mov", 20_000_001), field_name="sg_uploaded_movie", created_at=moment
    )
    yield "upload_thumbnail", lambda: sg.upload_thumbnail("Version", kept["version"]["id"], a_file("d.png", 50))
    yield "upload_filmstrip_thumbnail", lambda: sg.upload_filmstrip_thumbnail(
        "Version", kept["version"]["id"], a_file("e.png", 50)
    )
    yield "share_thumbnail", lambda: sg.share_thumbnail([kept["shot"]], source_entity=kept["version"])
    yield "share_thumbnail of a file", lambda: sg.share_thumbnail(
        kept["rows"][1:3], thumbnail_path=a_file("f.png", 50)
    )
    yield "share_thumbnail with one", lambda: sg.share_thumbnail([kept["rows"][3]], thumbnail_path=a_file("g.png", 50))
    yield "what was uploaded", lambda: sg.find(
        "Attachment", [], ["display_name", "filename", "file_size", "file_extension", "tag_list", "attachment_links", "created_at"]
    )
    yield "whose thumbnail is there", lambda: [bool(row["image"]) for row in sg.find("Shot", [], ["image"])]
    yield "download", lambda: fetched(lambda path: sg.download_attachment(kept["attachment"], path))
    yield "download of a link", lambda: fetched(
        lambda path: sg.download_attachment({"type": "Attachment", "id": kept["attachment"]}, file_path=path)
    )
    yield "download of a field", lambda: fetched(
        lambda path: sg.download_attachment(
            sg.find_one("Version", [["id", "is", kept["version"]["id"]]], ["sg_uploaded_movie"])["sg_uploaded_movie"], path
        )
    )
    yield "delete", lambda: sg.delete("Shot", kept["shot"]["id"])
    yield "delete again", lambda: sg.delete("Shot", kept["shot"]["id"])
    yield "a link to what is gone", lambda: sg.find_one("Task", [["id", "is", kept["task"]["id"]]], ["entity"])
    yield "revive", lambda: sg.revive("Shot", kept["shot"]["id"])
    yield "revive again", lambda: sg.revive("Shot", kept["shot"]["id"])
    yield "schema_field_read", lambda: sg.schema_field_read("Task")
    yield "schema of one field", lambda: sg.schema_field_read("Task", "sg_status_list", PROJECT)
    yield "schema_entity_read", lambda: sg.schema_entity_read()
    yield "schema_read", lambda: sorted(sg.schema_read(PROJECT)["Shot"])
    yield "preferences_read", lambda: sg.preferences_read(["hours_per_day", "nope"])
    yield "update_project_last_accessed", lambda: sg.update_project_last_accessed(PROJECT)
    yield "close", lambda: sg.close()
    yield "no such field", lambda: sg.find("Shot", [["nope", "is", 1]])
    yield "no such relation", lambda: sg.find("Shot", [["code", "less_than", "a"]])
    yield "no such type", lambda: sg.find("Nonsense", [])
    yield "no such entity", lambda: sg.delete("Shot", 4711)
    yield "a value that cannot be", lambda: sg.update("Shot", kept["shot"]["id"], {"sg_status_list": "nonsense"})
    yield "events", lambda: sg.find(
        "EventLogEntry",
        [["event_type", "starts_with", "Shotgun_"]],
        ["event_type", "attribute_name", "meta", "entity", "project", "user", "created_at", "session_uuid"],
    )


def plain(value):
    """The value as JSON that tells a moment from text; a moment of this very run is only said to be one."""
    if isinstance(value, datetime.datetime):
        assert value.tzinfo is not None
        is_now = abs(datetime.datetime.now(datetime.timezone.utc) - value) < datetime.timedelta(hours=1)
        return {"moment": "now" if is_now else value.astimezone(datetime.timezone.utc).isoformat()}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(plain, value)]
    if isinstance(value, str) and re.fullmatch(r"[\d-]{10} [\d:]{8} UTC", value):  # of a retirement
        return {"text of a moment": "now"}
    return value


def probe(sg):
    """Makes all the calls."""
    told = []
    for name, function in calls(sg):
        try:
            told.append([name, plain(function())])
        except Exception as error:
            told.append([name, {"raised": type(error).__name__, "words": str(error)}])
    return told


if __name__ == "__main__":
    import sgeventd

    plugin = sgeventd.Plugin("probe", max_attempts=1)

    @plugin.on("Studio_Probe")
    def on_probe(event, sg):
        told = {"sdk": sgeventd.__file__, "session_uuid": event.session_uuid, "told": probe(sg)}
        with open(plugin.config["out"], "w", encoding="utf-8") as file:
            json.dump(told, file)

    plugin.run()

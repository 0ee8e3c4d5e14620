"""A site is written down and goes on from there; a site is built on the schema of another one."""

from __future__ import annotations

import contextlib
import json
import pathlib
import pickle
import stat
import subprocess
import urllib.request

import pytest
import shotgun_api3
from conftest import BINARY, Site, start
from shotgun_api3.lib import mockgun

EVERYTHING = ["id", "code", "description", "sg_status_list", "created_at", "tags", "tasks", "assets", "sg_turnover"]
LOG = "EventLogEntry"
site_of = contextlib.contextmanager(start)


def dump(site: Site) -> str:
    with urllib.request.urlopen(f"{site.url}/_sandbox/dump", timeout=60) as answer:
        return answer.read().decode()


def live(site: Site, picture: pathlib.Path) -> None:
    """Whatever leaves something behind."""
    sg = site.connect()
    site.order("work", times=25)
    site.order("abandon", times=2)
    site.order("work", times=1, late_ms=3_600_000)
    sg.delete("Shot", 2)
    field = sg.schema_field_create("Shot", "list", "Mood", properties={"valid_values": ["dark", "bright"]})
    sg.update("Shot", 1, {field: "dark", "description": "Größe\n\"quoted\" <b>\u2028"})
    sg.schema_field_delete("Shot", sg.schema_field_create("Shot", "text", "Gone"))
    ada, shot = {"type": "HumanUser", "id": 1}, {"type": "Shot", "id": 1}
    sg.follow(ada, shot)
    sg.update("HumanUser", 1, {"password_proxy": "secret"})
    sg.work_schedule_update("2026-07-15", False, description="Holiday")
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    sg.upload("Shot", 1, str(picture), display_name="a picture")
    sg.create(LOG, {"event_type": "Studio_Odd", "meta": {"a": [1, None, 2.5]}, "project": {"type": "Project", "id": 1}})


def test_a_site_goes_on_where_it_was(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "site.jsonl"
    with site_of("demo", "--dump", str(file)) as site:
        live(site, tmp_path / "a.png")
        before = dump(site)
        sg = site.connect()
        told = [sg.find("Shot", [], EVERYTHING), sg.find("Shot", [], EVERYTHING, retired_only=True), sg.find(LOG, [], ["meta", "entity", "user"]),
                sg.schema_read(), sg.followers({"type": "Shot", "id": 1}), sg.work_schedule_read("2026-07-14", "2026-07-16")]
        attachment = sg.find_one("Attachment", [], ["this_file"])
        truth = site.truth()
    assert file.read_text() == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    with site_of(None, "--load", str(file)) as site:
        assert dump(site) == before
        sg = site.connect()
        again = [sg.find("Shot", [], EVERYTHING), sg.find("Shot", [], EVERYTHING, retired_only=True), sg.find(LOG, [], ["meta", "entity", "user"]),
                 sg.schema_read(), sg.followers({"type": "Shot", "id": 1}), sg.work_schedule_read("2026-07-14", "2026-07-16")]
        assert again == told
        assert site.truth() == truth
        assert sg.authenticate_human_user("ada", "secret")["id"] == 1
        with pytest.raises(shotgun_api3.AuthenticationFault):
            sg.authenticate_human_user("ada", "ada")
        assert sg.download_attachment(attachment) == (tmp_path / "a.png").read_bytes()
        # It goes on: no id is given twice.
        created = sg.create("Shot", {"code": "next", "project": {"type": "Project", "id": 1}})
        newest = sg.find_one(LOG, [["entity", "is", created]], ["id"])
        assert newest["id"] > max(truth)
        site.order("work", times=5)


def test_another_script_may_call_a_loaded_site(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "site.jsonl"
    with site_of("empty", "--dump", str(file)):
        pass
    with site_of(None, "--load", str(file), script="another") as site:
        assert site.script == "another"
        assert [user["firstname"] for user in site.connect().find("ApiUser", [], ["firstname"])] == ["tests", "another"]


@pytest.mark.parametrize("line, words", [
    ("{\"site\": {\"version\": 9, \"program\": \"x\", \"next_event\": 1}}\n", ":1: found a dump of version 9 (by sgeventd x); allowed: version 1"),
    ("", ":1: the file ends without the line \"end\""),
    ("hello\n", ":1: found `hello`; expected value"),
])
def test_a_file_that_is_no_dump_is_refused_with_its_line(tmp_path: pathlib.Path, line: str, words: str) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(line)
    done = subprocess.run([BINARY, "sandbox", "--load", str(file)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 78
    assert f"{file}{words}" in done.stderr


def test_a_file_that_is_not_there_and_a_place_where_none_can_be() -> None:
    done = subprocess.run([BINARY, "sandbox", "--load", "/no/such/file"], capture_output=True, text=True, timeout=30)
    assert done.returncode not in (0, 78)
    assert "cannot read /no/such/file" in done.stderr
    done = subprocess.run([BINARY, "sandbox", "--load", "x", "--scenario", "demo"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 64


def of_a_studio(site: Site):
    """A schema as a studio has it: a field of its own, a state of its own, types of ours missing."""
    sg = site.connect()
    sg.schema_field_create("Shot", "number", "Shot Size", properties={"summary_default": "sum"})
    schema, entities = sg.schema_read(), sg.schema_entity_read()
    for kind in ("Episode", "Playlist", "PlaylistVersionConnection", "TimeLog", "Department", "Page", "TaskTemplate"):
        del schema[kind], entities[kind]
    states = schema["Task"]["sg_status_list"]["properties"]
    states["valid_values"]["value"].append("psh")
    states["display_values"]["value"]["psh"] = "Pushed"
    del schema["Shot"]["sg_cut_in"]
    entities["Asset"]["name"]["value"] = "Build"
    return schema, entities


def built_on(tmp_path: pathlib.Path, *files: pathlib.Path, scenario: str = "demo"):
    return site_of(scenario, *[part for file in files for part in ("--schema", str(file))])


def look_at(site: Site, schema, entities) -> None:
    sg = site.connect()
    assert sg.schema_read() == schema
    if entities is not None:
        assert sg.schema_entity_read() == entities
    with pytest.raises(Exception, match="sg_cut_in doesn't exist"):
        sg.find("Shot", [["sg_cut_in", "is", 1001]])
    assert sg.update("Shot", 1, {"sg_shot_size": 3})["sg_shot_size"] == 3
    task = sg.update("Task", 1, {"sg_status_list": "psh"})
    assert task["sg_status_list"] == "psh"
    assert sg.find_one("Shot", [["tasks", "is", {"type": "Task", "id": 1}]])["id"] == 1
    assert "Pushed" in [state["name"] for state in sg.find("Status", [], ["name"])]


def test_the_files_that_mockgun_was_given_are_a_schema(site: Site, tmp_path: pathlib.Path) -> None:
    schema, entities = of_a_studio(site)
    files = [tmp_path / "schema.pickle", tmp_path / "entities.pickle"]

    class Recorded:
        def schema_read(self):
            return schema

        def schema_entity_read(self):
            return entities

    mockgun.generate_schema(Recorded(), *map(str, files))
    assert mockgun.schema.SchemaFactory.get_schemas(*map(str, files)) == (schema, entities)
    with built_on(tmp_path, *files) as built:
        look_at(built, schema, entities)
        built.order("work", times=200)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol_are_read(site: Site, tmp_path: pathlib.Path, protocol: int) -> None:
    schema, entities = of_a_studio(site)
    file = tmp_path / "schema.pickle"
    file.write_bytes(pickle.dumps(schema, protocol=protocol))
    with built_on(tmp_path, file, scenario="empty") as built:
        assert built.connect().schema_read() == schema


def test_what_schema_read_told_is_a_schema_as_json_too(site: Site, tmp_path: pathlib.Path) -> None:
    schema, entities = of_a_studio(site)
    files = [tmp_path / "entities.json", tmp_path / "schema.json"]
    files[0].write_text(json.dumps(entities, indent=1))
    files[1].write_text(json.dumps({"results": schema}))
    with built_on(tmp_path, *files) as built:
        look_at(built, schema, entities)


def test_a_studio_is_built_on_the_schema_of_another(site: Site, tmp_path: pathlib.Path) -> None:
    schema, _entities = of_a_studio(site)
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    with built_on(tmp_path, file, scenario="studio") as built:
        sg = built.connect()
        assert len(sg.find("Version", [], limit=300)) > 100
        assert sg.find_one("Shot", [["code", "is", "HRB_0010"]])


def test_a_schema_that_is_none_is_refused_by_the_name_of_its_file(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "schema.json"
    for text, words in [
        ("{\n\"Shot\": }", ":2: this is not JSON"),
        ('{"Shot": {"code": {"data_type": {"value": "txet"}}}}', ': Shot.code: found the data type "txet"; allowed: text, '),
        ("hello", ": this is neither JSON nor a pickle"),
        ('{"Shot": {"code": {"data_type": {"value": "text"}}}}', ": there is no HumanUser and no ApiUser"),
    ]:
        file.write_text(text)
        done = subprocess.run([BINARY, "sandbox", "--schema", str(file)], capture_output=True, text=True, timeout=30)
        assert done.returncode == 78, done.stderr
        assert f"{file}{words}" in done.stderr

"""Corners of writing and reading where one part of the site must agree with another."""

from __future__ import annotations

import pytest
import shotgun_api3
from conftest import Site

PROJECT = {"type": "Project", "id": 1}
Sg = shotgun_api3.Shotgun


@pytest.fixture
def shots(sg: Sg) -> list[dict]:
    return [sg.create("Shot", {"code": code, "project": PROJECT}) for code in ("sh010", "sh020")]


def rows(sg: Sg, since: int) -> list[dict]:
    fields = ["event_type", "attribute_name", "meta", "user", "entity"]
    return sg.find("EventLogEntry", [["id", "greater_than", since]], fields, order=[{"field_name": "id", "direction": "asc"}])


def newest(sg: Sg) -> int:
    return sg.find_one("EventLogEntry", [], order=[{"field_name": "id", "direction": "desc"}])["id"]


def test_the_other_side_is_told_the_name(sg: Sg, shots: list[dict]) -> None:
    since = newest(sg)
    sg.create("Task", {"entity": {"type": "Shot", "id": shots[0]["id"]}, "project": PROJECT, "content": "comp"})
    (row,) = [row for row in rows(sg, since) if row["attribute_name"] == "tasks"]
    assert [one["name"] for one in row["meta"]["added"]] == ["comp"]
    template = sg.create("TaskTemplate", {"code": "t", "entity_type": "Shot"})
    sg.create("Task", {"content": "anim", "task_template": template})
    since = newest(sg)
    sg.create("Shot", {"code": "sh030", "project": PROJECT, "task_template": template})
    (row,) = [row for row in rows(sg, since) if row["attribute_name"] == "tasks"]
    assert [one["name"] for one in row["meta"]["added"]] == ["anim"]


def test_a_task_that_changes_its_shot_tells_both_with_the_row_that_caused_it(sg: Sg, shots: list[dict]) -> None:
    one, two = ({"type": "Shot", "id": shot["id"]} for shot in shots)
    task = sg.create("Task", {"content": "comp", "project": PROJECT, "entity": one})
    since = newest(sg)
    sg.update("Shot", two["id"], {"tasks": [task]}, multi_entity_update_modes={"tasks": "add"})
    log = {(row["entity"]["type"], row["entity"]["id"]): row for row in rows(sg, since)}
    caused = log["Task", task["id"]]
    assert caused["meta"]["original_event_log_entry_id"] == log["Shot", two["id"]]["id"]
    assert log["Shot", one["id"]]["meta"]["original_event_log_entry_id"] == caused["id"]


def test_an_order_of_links_is_no_change(sg: Sg, shots: list[dict]) -> None:
    assets = [sg.create("Asset", {"code": code, "project": PROJECT}) for code in "ab"]
    sg.update("Shot", shots[0]["id"], {"assets": assets})
    since = newest(sg)
    sg.update("Shot", shots[0]["id"], {"assets": assets[::-1]})
    assert rows(sg, since) == []


def test_a_link_has_one_row_also_after_a_revival(sg: Sg) -> None:
    version = sg.create("Version", {"code": "v", "project": PROJECT})
    playlist = sg.create("Playlist", {"code": "p", "project": PROJECT, "versions": [version]})
    of_playlist = [["playlist", "is", playlist]]
    row = sg.find_one("PlaylistVersionConnection", of_playlist)
    sg.delete("PlaylistVersionConnection", row["id"])
    sg.update("Playlist", playlist["id"], {"versions": [version]})
    assert sg.revive("PlaylistVersionConnection", row["id"]) is False
    assert [found["id"] for found in sg.find("PlaylistVersionConnection", of_playlist)] == [row["id"]]
    sg.update("Playlist", playlist["id"], {"versions": []})
    assert sg.find("PlaylistVersionConnection", of_playlist) == []


@pytest.mark.parametrize(("kind", "field"), [("Tag", "name"), ("HumanUser", "login")])
def test_what_is_unique_does_not_come_back_twice(sg: Sg, kind: str, field: str) -> None:
    first = sg.create(kind, {field: "dup"})
    sg.delete(kind, first["id"])
    second = sg.create(kind, {field: "dup"})
    with pytest.raises(shotgun_api3.Fault, match="required to be unique"):
        sg.revive(kind, first["id"])
    sg.delete(kind, second["id"])
    assert sg.revive(kind, first["id"]) is True


def test_what_must_have_a_project_says_so_and_keeps_it(sg: Sg, shots: list[dict]) -> None:
    schema = sg.schema_read()
    for kind, fields in schema.items():
        is_mandatory = fields.get("project", {}).get("mandatory", {}).get("value", False)
        if kind in ("Shot", "Version", "Note"):
            assert is_mandatory, kind
        if kind in ("Task", "PipelineConfiguration", "Tag"):
            assert not is_mandatory, kind
    with pytest.raises(shotgun_api3.Fault, match="a project is required"):
        sg.update("Shot", shots[0]["id"], {"project": None})
    with pytest.raises(shotgun_api3.Fault, match="Valid types: Project"):
        sg.update("Shot", shots[0]["id"], {"project": shots[1]})


def test_a_script_may_say_who_did_what_it_logs(sg: Sg) -> None:
    ada = {"type": "HumanUser", "id": 1}
    row = sg.create("EventLogEntry", {"event_type": "Studio_Render_Done", "project": PROJECT, "user": ada}, ["user"])
    assert row["user"]["type"] == "HumanUser"


def test_a_page_that_is_linked_again_is_no_change(sg: Sg) -> None:
    version = sg.create("Version", {"code": "v", "project": PROJECT})
    page = {"url": "https://example.com/a", "name": "a"}
    first = sg.update("Version", version["id"], {"sg_uploaded_movie": page})["sg_uploaded_movie"]
    since = newest(sg)
    assert sg.update("Version", version["id"], {"sg_uploaded_movie": page})["sg_uploaded_movie"] == first
    assert rows(sg, since) == []
    sg.update("Version", version["id"], {"sg_uploaded_movie": {**page, "name": "b"}})
    assert len(rows(sg, since)) == 1


@pytest.mark.parametrize(
    ("kind", "condition", "words"),
    [
        ("Shot", ["code", "contains", None], r"expected \[String\] data type\(s\) but got NilClass"),
        ("Shot", ["sg_sequence", "name_contains", None], r"expected \[String\] data type\(s\) but got NilClass"),
        ("Shot", ["sg_sequence", "type_is", 5], r"expected \[String, NilClass\] data type\(s\) but got Integer"),
        ("Shot", ["assets", "is", [[{"type": "Asset", "id": 1}]]], r"expected \[Hash, NilClass\] data type\(s\) but got Array"),
        ("Task", ["due_date", "is", "2026-01-02T00:00:00Z"], r"expected \[Date, NilClass\] data type\(s\) but got String"),
        ("Task", ["due_date", "in_calendar_day", "0"], r"expected \[Integer\] data type\(s\) but got String"),
    ],
)
def test_a_fault_names_what_the_relation_takes(sg: Sg, kind: str, condition: list, words: str) -> None:
    with pytest.raises(shotgun_api3.Fault, match=words):
        sg.find(kind, [condition])


def test_what_the_tree_names_can_be_found(show: Site) -> None:
    sg = show.connect()
    project = sg.find_one("Project", [["name", "is_not", "Sandbox"]])
    node = sg.nav_expand(f"/Project/{project['id']}/Shot", seed_entity_field="Version.entity")
    target = node["target_entities"]
    found = sg.find(target["type"], [], ["entity", "project"], additional_filter_presets=target["additional_filter_presets"])
    expected = sg.find("Version", [["project", "is", project], ["entity", "type_is", "Shot"]])
    assert {one["id"] for one in found} == {one["id"] for one in expected}


def test_words_and_numbers_of_small_things(sg: Sg, shots: list[dict]) -> None:
    field = sg.schema_field_read("Shot", "code")["code"]
    assert field["custom_metadata"]["value"] is None
    assert set(sg.find_one("HumanUser", [], ["password_proxy"])["password_proxy"]) == {"*"}
    newest_first = sg.find("Shot", [], order=[{"field_name": "id", "direction": "DESC"}])
    assert [shot["id"] for shot in newest_first] == [shots[1]["id"], shots[0]["id"]]
    bad = shotgun_api3.Shotgun(sg.base_url, session_token="nonsense", connect=False)
    with pytest.raises(shotgun_api3.AuthenticationFault, match="session token"):
        bad.find("Shot", [])

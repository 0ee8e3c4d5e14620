"""Followers, days off, text search, streams, threads, the tree, plans, pages, preferences: one test for each public method."""

from __future__ import annotations

import datetime

import pytest
import shotgun_api3
from conftest import start

PROJECT = {"type": "Project", "id": 1}
ADA = {"type": "HumanUser", "id": 1}


@pytest.fixture(scope="module")
def site():
    yield from start("empty")


@pytest.fixture
def shot(sg):
    return sg.create("Shot", {"code": "sh010", "project": PROJECT})


def test_somebody_follows_and_does_not_any_more(sg, shot):
    task = sg.create("Task", {"content": "comp", "project": PROJECT})
    assert sg.followers(shot) == []
    assert sg.follow(ADA, shot)["followed"] is True
    assert sg.follow(ADA, shot)["followed"] is True
    sg.follow(ADA, task)
    assert sg.followers(shot) == [{"type": "HumanUser", "id": 1, "name": "Ada Lind", "status": "act", "valid": "valid"}]
    assert sg.following(ADA) == [{"type": "Shot", "id": shot["id"]}, {"type": "Task", "id": task["id"]}]
    assert sg.following(ADA, entity_type="Task") == [{"type": "Task", "id": task["id"]}]
    assert len(sg.following(ADA, project=PROJECT)) == 2
    other = sg.create("Project", {"name": "Other"})
    assert sg.following(ADA, project=other) == []
    assert sg.unfollow(ADA, shot)["unfollowed"] is True
    assert sg.followers(shot) == []
    with pytest.raises(shotgun_api3.Fault, match="does not exist"):
        sg.follow(ADA, {"type": "Shot", "id": 999})
    with pytest.raises(shotgun_api3.Fault, match="HumanUser 'user'"):
        sg.follow(shot, task)


def test_days_off_of_the_studio_a_project_and_a_person(sg):
    read = lambda **whose: sg.work_schedule_read("2012-01-01", "2012-01-07", **whose)  # noqa: E731
    week = read(project=PROJECT, user=ADA)
    assert list(sorted(week)) == [f"2012-01-0{day}" for day in range(1, 8)]
    assert week["2012-01-02"] == {"working": True, "description": None, "reason": "STUDIO_WORK_WEEK"}
    assert [week[day]["working"] for day in ("2012-01-01", "2012-01-06", "2012-01-07")] == [False, True, False]
    assert sg.work_schedule_update("2012-01-02", False, "Studio Holiday") == {
        "date": "2012-01-02", "description": "Studio Holiday", "project": None, "user": None, "working": False,
    }  # fmt: skip
    told = sg.work_schedule_update("2012-01-03", False, "Project Holiday", PROJECT)
    assert told["project"] == {"type": "Project", "id": 1, "name": "Sandbox"}
    told = sg.work_schedule_update("2012-01-04", False, "Artist Holiday", user=ADA)
    assert told["user"] == {"type": "HumanUser", "id": 1, "name": "Ada Lind"}
    after = read(project=PROJECT, user=ADA)
    assert [after[f"2012-01-0{day}"]["reason"] for day in (2, 3, 4, 5)] == [
        "STUDIO_EXCEPTION",
        "PROJECT_EXCEPTION",
        "USER_EXCEPTION",
        "STUDIO_WORK_WEEK",
    ]
    assert read()["2012-01-03"]["reason"] == "STUDIO_WORK_WEEK"
    with pytest.raises(shotgun_api3.Fault, match="cannot both be given"):
        sg.work_schedule_update("2012-01-05", False, "x", PROJECT, ADA)
    for wrong in ("2012-1-1", "soon", "2012-02-30"):
        with pytest.raises(shotgun_api3.Fault, match="'start_date'"):
            sg.work_schedule_read(wrong, "2012-03-01")


def test_text_is_searched_in_names(sg):
    made = [
        sg.create(kind, {"code": f"Zebra Text Search {number}", "project": PROJECT})
        for kind in ("Shot", "Asset")
        for number in range(5)
    ]
    told = sg.text_search("zebra text search", {"Shot": []})
    assert told["terms"] == ["zebra", "text", "search"]
    assert [match["id"] for match in told["matches"]] == [row["id"] for row in made[:5]]
    assert {(match["type"], match["project_id"], match["image"]) for match in told["matches"]} == {("Shot", 1, None)}
    assert len(sg.text_search("SEARCH Zebra", {"Shot": [], "Asset": []})["matches"]) == 10
    assert len(sg.text_search("zebra", {"Shot": []}, limit=3)["matches"]) == 3
    filters = {
        "Shot": [["code", "ends_with", "3"]],
        "Asset": [{"filter_operator": "any", "filters": [["code", "ends_with", "4"]]}],
    }
    matches = sg.text_search("Zebra", filters)["matches"]
    assert [(match["type"], match["name"]) for match in matches] == [("Shot", "Zebra Text Search 3"), ("Asset", "Zebra Text Search 4")]
    assert sg.text_search("zebra", {"Shot": []}, project_ids=[99])["matches"] == []
    task = sg.create("Task", {"content": "zebra task", "project": PROJECT, "entity": made[0]})
    (match,) = sg.text_search("zebra", {"Task": []})["matches"]
    assert (match["id"], match["links"], match["status"]) == (task["id"], ["Shot", "Zebra Text Search 0"], "wtg")
    with pytest.raises(shotgun_api3.Fault, match="3 characters"):
        sg.text_search("ze", {"Shot": []})


def test_a_stream_tells_what_happened_to_a_shot_newest_first(sg, shot):
    note = sg.create("Note", {"content": "Test!", "project": PROJECT, "note_links": [shot]})
    told = sg.activity_stream_read("Shot", shot["id"])
    assert set(told) == {"earliest_update_id", "entity_id", "entity_type", "latest_update_id", "updates"}
    assert [(update["update_type"], update["primary_entity"]["type"]) for update in told["updates"]] == [("create", "Note"), ("create", "Shot")]
    assert told["latest_update_id"] > told["earliest_update_id"]
    assert told["updates"][0]["created_by"]["name"] == "tests"
    sg.update("Shot", shot["id"], {"sg_status_list": "ip"})
    sg.create("Reply", {"content": "Yes", "entity": note})
    updates = sg.activity_stream_read("Shot", shot["id"], entity_fields={"Shot": ["created_by.HumanUser.image"], "Note": ["content"]})["updates"]
    assert [update["update_type"] for update in updates] == ["create_reply", "update", "create", "create"]
    assert updates[1]["meta"]["new_value"] == "ip"
    assert set(updates[2]["primary_entity"]) == {"content", "id", "name", "status", "type"}
    assert set(updates[3]["primary_entity"]) == {"created_by.HumanUser.image", "id", "name", "status", "type"}
    assert isinstance(updates[0]["created_at"], datetime.datetime)
    ids = [update["id"] for update in updates]
    within = sg.activity_stream_read("Shot", shot["id"], min_id=ids[3], max_id=ids[0])["updates"]
    assert [update["id"] for update in within] == ids[1:3]
    assert len(sg.activity_stream_read("Shot", shot["id"], limit=1)["updates"]) == 1
    with pytest.raises(shotgun_api3.Fault, match="does not exist"):
        sg.activity_stream_read("Shot", 999)


def test_a_thread_is_a_note_with_its_replies(sg):
    note = sg.create("Note", {"content": "Test!", "project": PROJECT, "addressings_to": [ADA]})
    (alone,) = sg.note_thread_read(note["id"])
    fields = ["content", "created_at", "created_by"]
    assert alone == sg.find_one("Note", [["id", "is", note["id"]]], fields)
    reply = sg.create("Reply", {"content": "Reply", "entity": note})
    first, second = sg.note_thread_read(note["id"], {"Note": ["addressings_to"]})
    assert first["addressings_to"][0]["name"] == "Ada Lind"
    assert second["user"].pop("image") is None
    assert second == sg.find_one("Reply", [["id", "is", reply["id"]]], ["content", "created_at", "user"])
    assert sg.find_one("Note", [["id", "is", note["id"]]], ["replies"])["replies"][0]["id"] == reply["id"]
    with pytest.raises(shotgun_api3.Fault, match="does not exist"):
        sg.note_thread_read(999)


def test_the_tree_is_walked_and_searched(sg):
    project = sg.create("Project", {"name": "Tree"})
    sequence = sg.create("Sequence", {"code": "sq1", "project": project})
    shot = sg.create("Shot", {"code": "leaf shot", "project": project, "sg_sequence": sequence})
    asset = sg.create("Asset", {"code": "leaf asset", "project": project, "sg_asset_type": "Prop"})
    root = sg.nav_expand("/")
    assert "Tree" in [child["label"] for child in root["children"]]
    path = f"/Project/{project['id']}"
    node = sg.nav_expand(path)
    assert node["ref"] == {"kind": "entity", "value": {"type": "Project", "id": project["id"]}}
    assert [child["path"] for child in node["children"]] == [f"{path}/Asset", f"{path}/Shot"]
    assert all(child["parent_path"] == path for child in node["children"])
    (prop,) = sg.nav_expand(f"{path}/Asset")["children"]
    assert (prop["path"], prop["ref"]) == (f"{path}/Asset/sg_asset_type/Prop", {"kind": "list", "value": "Prop"})
    (leaf,) = sg.nav_expand(prop["path"])["children"]
    assert (leaf["label"], leaf["has_children"]) == ("leaf asset", False)
    assert leaf["ref"]["value"] == {"type": "Asset", "id": asset["id"]}
    (hit,) = sg.nav_search_string(path, "leaf SHOT")
    assert hit["ref"] == {"type": "Shot", "id": shot["id"]}
    assert hit["incremental_path"] == [
        path,
        f"{path}/Shot",
        f"{path}/Shot/sg_sequence/Sequence/{sequence['id']}",
        f"{path}/Shot/sg_sequence/Sequence/{sequence['id']}/id/{shot['id']}",
    ]
    assert (hit["project_id"], hit["path_label"]) == (project["id"], "Shots > sq1")
    assert sg.nav_expand(hit["incremental_path"][-1])["label"] == "leaf shot"
    (same,) = sg.nav_search_entity("/", asset)
    assert same["label"] == "leaf asset"
    with pytest.raises(shotgun_api3.Fault, match="'path'"):
        sg.nav_expand("/Nonsense/x")


def test_preferences(sg):
    all_of_them = sg.preferences_read()
    assert len([name for name in all_of_them if name.startswith("format_")]) == 9
    assert {"date_component_order", "duration_units", "hours_per_day", "support_local_storage", "view_master_settings"} <= set(all_of_them)
    assert sg.preferences_read(["hours_per_day", "nope"]) == {"hours_per_day": 8.0}


def test_plans_and_pages(sg, shot):
    assert sg.user_subscriptions_read()["1"] == "Full"
    assert sg.user_subscriptions_create([ADA]) is True
    page = sg.find_one("Page", [["entity_type", "is", "Shot"]], ["last_accessed"])
    assert isinstance(page["last_accessed"], datetime.datetime)
    head, *lines = sg.export_page(page["id"], "csv").splitlines()
    assert head.startswith('"Id"')
    assert any('"sh010"' in line for line in lines)
    with pytest.raises(shotgun_api3.Fault, match="does not exist"):
        sg.export_page(999, "csv")
    for page_id, form, words in [(page["id"], None, "'format' missing"), (None, "csv", "'page_id' missing"), (page["id"], "pdf", "valid: csv")]:
        with pytest.raises(shotgun_api3.Fault, match=words):
            sg.export_page(page_id, form)
    bare = sg.create("Page", {"entity_type": "Shot"})
    with pytest.raises(shotgun_api3.Fault, match=f"Export for Page id={bare['id']} not available"):
        sg.export_page(bare["id"], "csv")


def test_when_a_project_was_opened_last_is_told_to_who_opened_it(site, sg):
    ada = site.connect(sudo_as_login="ada")
    field = "last_accessed_by_current_user"
    look = lambda who: who.find_one("Project", [["id", "is", 1]], [field])[field]  # noqa: E731
    ada.update_project_last_accessed(PROJECT)
    assert isinstance(look(ada), datetime.datetime)
    assert look(sg) is None
    sg.update_project_last_accessed(PROJECT)
    assert isinstance(look(sg), datetime.datetime)
    sg.update_project_last_accessed(PROJECT, user=ADA)


def test_a_note_is_read_by_one_and_unread_for_another(site, sg):
    ada = site.connect(sudo_as_login="ada")
    note = sg.create("Note", {"subject": "n", "project": PROJECT})
    field = "read_by_current_user"
    look = lambda who: who.find_one("Note", [["id", "is", note["id"]]], [field])[field]  # noqa: E731
    assert (look(ada), look(sg)) == ("unread", "unread")
    ada.update("Note", note["id"], {field: "read"})
    assert (look(ada), look(sg)) == ("read", "unread")
    row = sg.find_one("EventLogEntry", [["event_type", "is", "Shotgun_Reading_Change"]], ["entity", "meta", "attribute_name", "user"])
    assert (row["entity"]["id"], row["attribute_name"], row["user"]["name"]) == (note["id"], field, "Ada Lind")
    del row["meta"]["sudo_actual_user"]
    assert row["meta"] == {"type": "attribute_change", "attribute_name": field, "old_value": "unread", "new_value": "read"}


def test_what_is_only_of_this_side_of_the_wire(site):
    sg = site.connect(connect=False)
    sg.connect()
    sg.add_user_agent("made-up 1.0")
    sg.reset_user_agent()
    assert sg.server_info["api_max_entities_per_page"] == 500
    assert sg.get_session_token() == sg.get_session_token()
    for gone in (lambda: sg.schema("x"), lambda: sg.entity_types()):
        with pytest.raises(shotgun_api3.ShotgunError):
            gone()
    sg.close()
    assert sg.find_one("Project", [])["id"] == 1

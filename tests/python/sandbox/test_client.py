"""The official client takes the made-up site for a real one."""

from __future__ import annotations

import datetime

import pytest
import shotgun_api3
from conftest import Site

PROJECT = {"type": "Project", "id": 1}


def codes(rows):
    return [row["code"] for row in rows]


def events(sg, above):
    fields = ["event_type", "attribute_name", "meta", "entity", "user", "project", "session_uuid", "created_at"]
    order = [{"field_name": "id", "direction": "asc"}]
    return sg.find("EventLogEntry", [["id", "greater_than", above]], fields, order)


def shot(sg, code, **more):
    return sg.create("Shot", {"code": code, "project": PROJECT, **more})


def test_connect_and_info(sg):
    assert sg.server_caps.version >= (8, 0, 0)
    assert sg.info()["api_max_entities_per_page"] == 500


@pytest.mark.parametrize(("script", "key"), [("tests", "wrong"), ("nobody", "wrong")])
def test_a_wrong_script_or_key_is_an_authentication_fault(site, script, key):
    sg = shotgun_api3.Shotgun(site.url, script, key)
    with pytest.raises(shotgun_api3.AuthenticationFault, match=f"Can't authenticate script '{script}'"):
        sg.find("Shot", [])


def test_a_session_token_is_as_good_as_a_key(site, sg):
    token = sg.get_session_token()
    other = shotgun_api3.Shotgun(site.url, session_token=token)
    assert other.find_one("Project", [], ["name"])["name"] == "Sandbox"


def test_schema(sg):
    schema = sg.schema_read()
    assert schema["Shot"]["code"]["data_type"]["value"] == "text"
    assert schema["Task"]["entity"]["properties"]["valid_types"]["value"][:3] == ["Shot", "Asset", "Sequence"]
    assert "EventLogEntry" in sg.schema_entity_read()
    assert list(sg.schema_field_read("Shot", "sg_status_list")) == ["sg_status_list"]
    with pytest.raises(shotgun_api3.Fault, match="Shot.nope doesn't exist"):
        sg.schema_field_read("Shot", "nope")


def test_find_filters_orders_and_pages(sg):
    made = [shot(sg, f"s{n}", sg_cut_in=n) for n in range(7)]
    by_cut = [{"field_name": "sg_cut_in", "direction": "desc"}]
    assert codes(sg.find("Shot", [["sg_cut_in", "between", 2, 4]], ["code"], by_cut)) == ["s4", "s3", "s2"]
    assert codes(sg.find("Shot", [["code", "in", "S1", "s2"]], ["code"])) == ["s1", "s2"]
    assert codes(sg.find("Shot", [["code", "ends_with", "6"]], ["code"])) == ["s6"]
    nested = {"filter_operator": "any", "filters": [["code", "is", "s0"], ["sg_cut_in", "greater_than", 5]]}
    assert codes(sg.find("Shot", [["project", "is", PROJECT], nested], ["code"])) == ["s0", "s6"]
    assert codes(sg.find("Shot", [["project.Project.name", "is", "sandbox"]], ["code"], limit=3, page=2)) == [
        "s3",
        "s4",
        "s5",
    ]
    one = sg.find_one("Shot", [["id", "is", made[3]["id"]]], ["code", "project", "project.Project.name", "nope"])
    assert one == {
        "type": "Shot",
        "id": made[3]["id"],
        "code": "s3",
        "project": {"type": "Project", "id": 1, "name": "Sandbox"},
        "project.Project.name": "Sandbox",
    }
    assert sg.find_one("Shot", [["code", "is", "none"]]) is None


def test_more_rows_than_a_page(site, sg):
    site.order("bulk", count=1200)
    assert [row["id"] for row in sg.find("EventLogEntry", [])] == site.truth()
    newest = sg.find("EventLogEntry", [], order=[{"field_name": "id", "direction": "desc"}], limit=2)
    assert [row["id"] for row in newest] == site.truth()[:-3:-1]
    assert sg.summarize("EventLogEntry", [], [{"field": "id", "type": "count"}])["summaries"] == {"id": 1200}


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ([["nope", "is", 1]], "Shot.nope doesn't exist"),
        ([["code", "less_than", "x"]], "Valid relations"),
        ([["code", "is", {"a": 1}]], "expected .String, NilClass."),
        ([["project", "is", {"id": 1}]], "entity hash"),
    ],
)
def test_a_filter_that_makes_no_sense_is_a_fault(sg, filters, words):
    with pytest.raises(shotgun_api3.Fault, match=words):
        sg.find("Shot", filters)


def test_meta_cannot_be_filtered(sg):
    with pytest.raises(shotgun_api3.Fault, match="cannot be used in a filter"):
        sg.find("EventLogEntry", [["meta", "is", "x"]])


def test_create_update_delete_revive_and_their_rows(site, sg):
    made = shot(sg, "sh010")
    assert made["project"]["name"] == "Sandbox"
    rows = events(sg, 0)
    assert [(row["event_type"], row["attribute_name"]) for row in rows] == [
        ("Shotgun_Shot_New", None),
        ("Shotgun_Shot_Change", "code"),
        ("Shotgun_Shot_Change", "project"),
        ("Shotgun_Shot_Change", "sg_status_list"),
    ]
    assert rows[0]["meta"] == {"type": "new_entity", "entity_type": "Shot", "entity_id": made["id"]}
    assert all(row["meta"]["in_create"] for row in rows[1:])
    assert rows[0]["user"] == {"type": "ApiUser", "id": 1, "name": "tests"}
    assert isinstance(rows[0]["created_at"], datetime.datetime)

    sg.set_session_uuid("dd6a1d6a-83a0-11ec-8826-0242ac110006")
    assert sg.update("Shot", made["id"], {"sg_status_list": "ip"})["sg_status_list"] == "ip"
    (row,) = events(sg, rows[-1]["id"])
    assert row["session_uuid"] == "dd6a1d6a-83a0-11ec-8826-0242ac110006"
    assert row["meta"] == {
        "type": "attribute_change",
        "attribute_name": "sg_status_list",
        "entity_type": "Shot",
        "entity_id": made["id"],
        "field_data_type": "status_list",
        "old_value": "wtg",
        "new_value": "ip",
    }
    assert row["entity"] == {"type": "Shot", "id": made["id"], "name": "sh010"}

    assert sg.delete("Shot", made["id"]) is True
    assert sg.delete("Shot", made["id"]) is False
    assert sg.find("Shot", []) == []
    assert len(sg.find("Shot", [], retired_only=True)) == 1
    retired = events(sg, row["id"])
    assert [r["event_type"] for r in retired] == ["Shotgun_Shot_Change", "Shotgun_Shot_Retirement"]
    assert retired[0]["meta"]["new_value"].endswith(" UTC")
    assert all(r["entity"] is None for r in events(sg, 0))

    assert sg.revive("Shot", made["id"]) is True
    assert [r["event_type"] for r in events(sg, retired[-1]["id"])] == ["Shotgun_Shot_Revival"]
    assert [r["id"] for r in events(sg, 0)] == site.truth()


def test_a_link_is_listed_on_the_other_side(sg):
    made = shot(sg, "sh010")
    task = sg.create("Task", {"content": "comp", "project": PROJECT, "entity": made})
    tasks = sg.find_one("Shot", [["tasks", "is", task]], ["tasks"])["tasks"]
    assert tasks == [{"type": "Task", "id": task["id"], "name": "comp"}]
    row = next(row for row in events(sg, 0) if row["attribute_name"] == "tasks")
    source = next(r for r in events(sg, 0) if r["attribute_name"] == "entity")
    assert row["entity"]["type"] == "Shot"
    assert row["meta"]["entity_type"] == "Task"
    assert row["meta"]["actual_attribute_changed"] == "Task.entity"
    assert row["meta"]["original_event_log_entry_id"] == source["id"]


def test_lists_of_links_are_added_to_and_taken_from(sg):
    assets = [sg.create("Asset", {"code": code, "project": PROJECT}) for code in "ab"]
    made = shot(sg, "sh010", assets=[assets[0]])
    sg.update("Shot", made["id"], {"assets": [assets[1]]}, {"assets": "add"})
    assert len(sg.find_one("Shot", [], ["assets"])["assets"]) == 2
    sg.update("Shot", made["id"], {"assets": [assets[0]]}, {"assets": "remove"})
    assert [a["name"] for a in sg.find_one("Shot", [], ["assets"])["assets"]] == ["b"]
    changes = [r for r in events(sg, 0) if r["attribute_name"] == "assets"]
    assert [a["id"] for a in changes[-1]["meta"]["removed"]] == [assets[0]["id"]]
    assert "old_value" not in changes[-1]["meta"]


def test_a_batch_is_all_or_nothing(site, sg):
    made = shot(sg, "sh010")
    before = site.truth()
    new = {"request_type": "create", "entity_type": "Shot", "data": {"code": "new", "project": PROJECT}}
    with pytest.raises(shotgun_api3.Fault, match="request with index 1 failed"):
        sg.batch([new, {"request_type": "delete", "entity_type": "Shot", "entity_id": 99}])
    assert (codes(sg.find("Shot", [], ["code"])), site.truth()) == (["sh010"], before)
    change = {"request_type": "update", "entity_type": "Shot", "entity_id": made["id"], "data": {"sg_cut_in": 5}}
    gone = {"request_type": "delete", "entity_type": "Shot", "entity_id": made["id"]}
    created, changed, deleted = sg.batch([new, change, gone])
    assert (created["code"], changed["sg_cut_in"], deleted) == ("new", 5, True)


def test_a_script_writes_its_own_row(sg):
    made = sg.create(
        "EventLogEntry",
        {"event_type": "Studio_Render_Done", "project": PROJECT, "meta": {"frames": 3}, "description": "done"},
    )
    row = sg.find_one("EventLogEntry", [["event_type", "is", "Studio_Render_Done"]], ["meta"])
    assert row == {"type": "EventLogEntry", "id": made["id"], "meta": {"frames": 3}}


def test_writes_for_somebody_else_name_both(site):
    sg = site.connect(sudo_as_login="ada")
    shot(sg, "sh010")
    row = events(sg, 0)[0]
    assert row["user"]["name"] == "Ada Lind"
    assert row["meta"]["sudo_actual_user"]["type"] == "ApiUser"


def test_groups_are_counted(show: Site):
    sg = show.connect()
    grouping = [{"field": "sg_status_list", "type": "exact", "direction": "asc"}]
    told = sg.summarize("Task", [], [{"field": "id", "type": "count"}], grouping=grouping)
    assert told["summaries"] == {"id": 32}
    counts = {"apr": 6, "fin": 6, "ip": 6, "rdy": 4, "rev": 8, "wtg": 2}
    assert told["groups"] == [
        {"group_name": name, "group_value": name, "summaries": {"id": count}} for name, count in counts.items()
    ]

"""What each operation writes into the event log: which rows, what they say, who did it."""

from __future__ import annotations

import datetime
import re

import pytest
import shotgun_api3
from conftest import start

PROJECT = {"type": "Project", "id": 1}
ROW_FIELDS = [
    "event_type", "attribute_name", "meta", "entity", "project", "user", "session_uuid", "created_at", "description",
]  # fmt: skip
LINK_KEYS = {"type", "id", "name", "valid", "uuid"}


class Log:
    """Rows of the log since the last look."""

    def __init__(self, sg, site) -> None:
        self.sg, self.site = sg, site
        self.last = max(site.truth(), default=0)

    def new(self):
        order = [{"field_name": "id", "direction": "asc"}]
        rows = self.sg.find("EventLogEntry", [["id", "greater_than", self.last]], ROW_FIELDS, order)
        self.last = max([self.last, *(row["id"] for row in rows)])
        return rows


@pytest.fixture(scope="module")
def site():
    yield from start("empty")


@pytest.fixture
def log(sg, site):
    return Log(sg, site)


def kinds(rows):
    return [(row["event_type"], row["attribute_name"]) for row in rows]


def shot(sg, **more):
    return sg.create("Shot", {"code": "sh010", "project": PROJECT, **more})


@pytest.mark.parametrize(
    ("kind", "data", "filled"),
    [
        ("Project", {"name": "Second"}, {"name", "sg_status"}),
        ("Sequence", {"code": "sq"}, {"code", "project", "sg_status_list"}),
        ("Shot", {"code": "sh", "sg_cut_in": 1}, {"code", "project", "sg_cut_in", "sg_status_list"}),
        ("Asset", {"code": "hero", "sg_asset_type": "Prop"}, {"code", "project", "sg_asset_type", "sg_status_list"}),
        ("Task", {"content": "comp", "due_date": "2026-01-01"}, {"content", "project", "due_date", "sg_status_list"}),
        ("Version", {"code": "v1", "description": ""}, {"code", "project", "sg_status_list"}),
        ("Note", {"subject": "look"}, {"subject", "project", "sg_status_list"}),
        ("HumanUser", {"firstname": "Bo", "login": "bo"}, {"firstname", "login", "sg_status_list"}),
        ("ApiUser", {"firstname": "bot"}, {"firstname", "sg_status_list"}),
    ],
)
def test_a_create_writes_one_new_and_a_change_for_each_field_that_is_filled(sg, log, kind, data, filled):
    if "project" in filled:
        data = {**data, "project": PROJECT}
    made = sg.create(kind, data)
    first, *rest = log.new()
    assert (first["event_type"], first["attribute_name"]) == (f"Shotgun_{kind}_New", None)
    assert first["meta"] == {"type": "new_entity", "entity_type": kind, "entity_id": made["id"]}
    assert {row["event_type"] for row in rest} == {f"Shotgun_{kind}_Change"}
    names = [row["attribute_name"] for row in rest]
    assert len(names) == len(set(names))
    # Defaults that the schema tells of are written too, all others that were not given are not.
    schema = sg.schema_field_read(kind)
    for name in set(names) - set(data) - ({"user"} if kind == "Note" else set()):
        assert schema[name]["properties"]["default_value"]["value"] is not None, name
    assert filled <= set(names)
    for row in rest:
        meta = row["meta"]
        assert meta["in_create"] is True
        assert (meta["type"], meta["entity_type"], meta["entity_id"]) == ("attribute_change", kind, made["id"])
        assert meta["attribute_name"] == row["attribute_name"]
        assert meta["field_data_type"] == schema[row["attribute_name"]]["data_type"]["value"]
        assert meta["old_value"] is None
    ids = [row["id"] for row in (first, *rest)]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    for row in (first, *rest):
        assert (row["entity"]["type"], row["entity"]["id"]) == (kind, made["id"])
        assert row["user"] == {"type": "ApiUser", "id": 1, "name": "tests"}
        assert row["session_uuid"] is None
        assert abs(datetime.datetime.now(datetime.timezone.utc) - row["created_at"]) < datetime.timedelta(minutes=1)
        assert (row["project"] or {}).get("id") == (made["id"] if kind == "Project" else 1 if "project" in data else None)
        assert next(iter(data.values())) in row["description"]


def test_a_change_of_each_class_of_field_says_what_was_and_what_is(sg, log):
    one, two = sg.create("Sequence", {"code": "a", "project": PROJECT}), sg.create("Sequence", {"code": "b", "project": PROJECT})
    assets = [sg.create("Asset", {"code": code, "project": PROJECT}) for code in "xyz"]
    made = shot(sg, sg_sequence=one, assets=assets[:2])
    log.new()

    def metas(data):
        sg.update("Shot", made["id"], data)
        return [row["meta"] for row in log.new() if row["entity"]["type"] == "Shot"]

    common = {"type": "attribute_change", "entity_type": "Shot", "entity_id": made["id"]}
    for field, word, old, new in [
        ("description", "text", None, "new"),
        ("sg_cut_in", "number", None, 5),
        ("sg_cut_in", "number", 5, None),
        ("sg_status_list", "status_list", "wtg", "ip"),
        ("sg_shot_type", "list", None, "VFX"),
    ]:
        wanted = {**common, "attribute_name": field, "field_data_type": word, "old_value": old, "new_value": new}
        assert metas({field: new}) == [wanted]
    (link,) = metas({"sg_sequence": two})
    assert link["field_data_type"] == "entity"
    assert (link["old_value"]["name"], link["new_value"]["name"]) == ("a", "b")
    assert LINK_KEYS <= set(link["new_value"])
    assert link["new_value"]["valid"] == "valid"
    (cleared,) = metas({"sg_sequence": None})
    assert (cleared["old_value"]["id"], cleared["new_value"]) == (two["id"], None)
    (many,) = metas({"assets": [assets[1], assets[2]]})
    assert "old_value" not in many
    assert "new_value" not in many
    assert [one["id"] for one in many["added"]] == [assets[2]["id"]]
    assert [one["id"] for one in many["removed"]] == [assets[0]["id"]]
    assert all(LINK_KEYS <= set(one) for one in many["added"] + many["removed"])


def test_rows_are_as_many_as_a_site_writes(sg, log):
    # As recorded: four keys and the state that the site fills in.
    sequence = sg.create("Sequence", {"code": "sq", "project": PROJECT})
    log.new()
    shot(sg, description="d", sg_sequence=sequence)
    assert len([row for row in log.new() if row["entity"]["type"] == "Shot"]) == 6
    template = sg.create("TaskTemplate", {"code": "one task", "entity_type": "Shot"})
    sg.create("Task", {"content": "comp", "task_template": template, "step": {"type": "Step", "id": 5}})
    log.new()
    shot(sg, task_template=template)
    assert len([row for row in log.new() if row["entity"]["type"] == "Task"]) == 7


def test_a_box_was_unchecked_before_it_was_checked(sg, log):
    task = sg.create("Task", {"content": "comp", "project": PROJECT})
    assert "milestone" not in [row["attribute_name"] for row in log.new()]
    sg.update("Task", task["id"], {"milestone": False})
    assert log.new() == []
    for new in (True, False):
        sg.update("Task", task["id"], {"milestone": new})
        (row,) = log.new()
        assert (row["meta"]["old_value"], row["meta"]["new_value"]) == (not new, new)


def test_what_changes_nothing_writes_nothing(sg, log):
    made = shot(sg, sg_cut_in=1)
    log.new()
    sg.update("Shot", made["id"], {"sg_cut_in": 1, "code": "sh010", "project": PROJECT})
    assert sg.revive("Shot", made["id"]) is False
    assert log.new() == []
    sg.update("Shot", made["id"], {"sg_cut_in": 1, "sg_cut_out": 2})
    assert kinds(log.new()) == [("Shotgun_Shot_Change", "sg_cut_out")]


def test_a_link_writes_a_row_on_the_other_side_that_names_the_first(sg, log):
    first, second = shot(sg), shot(sg, code="sh020")
    task = sg.create("Task", {"content": "comp", "project": PROJECT, "entity": first})
    log.new()
    sg.update("Task", task["id"], {"entity": second})
    change, *back = log.new()
    assert kinds([change]) == [("Shotgun_Task_Change", "entity")]
    assert kinds(back) == [("Shotgun_Shot_Change", "tasks")] * 2
    sides = {row["entity"]["id"]: row for row in back}
    for side, gained in ((first, False), (second, True)):
        meta = sides[side["id"]]["meta"]
        # It describes the Task, not the Shot that the row is about.
        assert (meta["entity_type"], meta["entity_id"], meta["field_data_type"]) == ("Task", task["id"], "entity")
        assert meta["actual_attribute_changed"] == "Task.entity"
        assert meta["original_event_log_entry_id"] == change["id"]
        assert [one["id"] for one in meta["added" if gained else "removed"]] == [task["id"]]
        assert meta["removed" if gained else "added"] == []
    assert sg.find_one("Shot", [["id", "is", first["id"]]], ["tasks"])["tasks"] == []


def test_a_retirement_is_two_rows_and_hides_the_entity_of_all_earlier_ones(sg, log):
    made = shot(sg)
    before = log.new()
    assert all(row["entity"]["id"] == made["id"] for row in before)
    sg.delete("Shot", made["id"])
    change, retirement = log.new()
    assert kinds([change, retirement]) == [("Shotgun_Shot_Change", "retirement_date"), ("Shotgun_Shot_Retirement", None)]
    at = change["meta"]["new_value"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", at)
    assert change["meta"]["type"] == "attribute_change"
    assert "field_data_type" not in change["meta"]
    assert retirement["meta"] == {
        "type": "entity_retirement",
        "class_name": "Shot",
        "display_name": "sh010",
        "entity_id": made["id"],
        "entity_type": "Shot",
        "id": made["id"],
        "retirement_date": at,
    }
    mine = [["id", "between", before[0]["id"], retirement["id"]]]
    rows = sg.find("EventLogEntry", mine, ["entity", "meta"])
    assert [row["entity"] for row in rows] == [None] * len(rows)
    assert {row["meta"]["entity_id"] for row in rows} == {made["id"]}
    assert sg.find("EventLogEntry", [*mine, ["entity", "is", made]]) == []
    sg.revive("Shot", made["id"])
    (revival,) = log.new()
    assert kinds([revival]) == [("Shotgun_Shot_Revival", None)]
    assert revival["meta"] == {
        "type": "entity_revival",
        "class_name": "Shot",
        "display_name": "sh010",
        "entity_id": made["id"],
        "entity_type": "Shot",
        "id": made["id"],
    }
    assert len(sg.find("EventLogEntry", [*mine, ["entity", "is", made]])) == len(rows)


def test_a_batch_writes_the_rows_of_its_parts_in_their_order_or_none(sg, log):
    made = shot(sg)
    log.new()
    new = {"request_type": "create", "entity_type": "Note", "data": {"subject": "n", "project": PROJECT}}
    change = {"request_type": "update", "entity_type": "Shot", "entity_id": made["id"], "data": {"sg_cut_in": 5}}
    gone = {"request_type": "delete", "entity_type": "Shot", "entity_id": made["id"]}
    wrong = {**change, "data": {"sg_cut_in": "five"}}
    for index, requests in [(2, [new, change, wrong]), (0, [wrong, new])]:
        with pytest.raises(shotgun_api3.Fault, match=rf"request with index {index} failed.  All requests rolled back.\n"):
            sg.batch(requests)
    assert log.new() == []
    assert sg.find_one("Shot", [["id", "is", made["id"]]], ["sg_cut_in"])["sg_cut_in"] is None
    assert sg.find("Note", [["subject", "is", "n"]]) == []
    told = sg.batch([new, change, gone])
    assert [told[0]["type"], told[1]["sg_cut_in"], told[2]] == ["Note", 5, True]
    rows = kinds(log.new())
    assert rows[0] == ("Shotgun_Note_New", None)
    assert rows[-3:] == [
        ("Shotgun_Shot_Change", "sg_cut_in"),
        ("Shotgun_Shot_Change", "retirement_date"),
        ("Shotgun_Shot_Retirement", None),
    ]


def test_who_did_it_and_from_which_browser_session(site, sg, log):
    human = site.connect(sudo_as_login="ada")
    human.set_session_uuid("dd6a1d6a-83a0-11ec-8826-0242ac110006")
    shot(human)
    for row in log.new():
        assert (row["user"]["type"], row["user"]["name"]) == ("HumanUser", "Ada Lind")
        assert row["meta"]["sudo_actual_user"] == {"type": "ApiUser", "id": 1}
        assert row["session_uuid"] == "dd6a1d6a-83a0-11ec-8826-0242ac110006"
    shot(sg)
    for row in log.new():
        assert row["user"]["type"] == "ApiUser"
        assert "sudo_actual_user" not in row["meta"]
    with pytest.raises(shotgun_api3.AuthenticationFault, match="Cannot 'sudo' - unknown or retired user: 'nobody'"):
        site.connect(sudo_as_login="nobody").find("Shot", [])


def test_a_script_that_is_not_logged_leaves_rows_only_for_somebody_else(site, sg, log):
    me = sg.find_one("ApiUser", [["firstname", "is", "tests"]])
    sg.update("ApiUser", me["id"], {"generate_event_log_entries": False})
    log.new()
    try:
        made = shot(sg)
        sg.update("Shot", made["id"], {"sg_cut_in": 3})
        assert log.new() == []
        shot(site.connect(sudo_as_login="ada"))
        rows = log.new()
        assert rows
        assert {row["user"]["type"] for row in rows} == {"HumanUser"}
    finally:
        site.connect(sudo_as_login="ada").update("ApiUser", me["id"], {"generate_event_log_entries": True})


def test_rows_of_the_log_cannot_be_changed(sg, log):
    shot(sg)
    row = log.new()[0]
    for attempt in (
        lambda: sg.update("EventLogEntry", row["id"], {"description": "x"}),
        lambda: sg.delete("EventLogEntry", row["id"]),
    ):
        with pytest.raises(shotgun_api3.Fault, match="can not be"):
            attempt()
    with pytest.raises(shotgun_api3.Fault, match="missing 'project'"):
        sg.create("EventLogEntry", {"event_type": "Studio_Thing"})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"nope": 1}, "Shot.nope doesn't exist"),
        ({"code": 5}, r"expected \[String, NilClass\] data type\(s\) but got Integer"),
        ({"sg_cut_in": 2**40}, "CRUD ERROR #5: Update failed for .Shot.sg_cut_in.: PG::NumericValueOutOfRange"),
        ({"sg_cut_in": 2**80}, "PG::NumericValueOutOfRange"),
        ({"sg_cut_in": 1.5}, "got Float"),
        ({"sg_status_list": "IP"}, "not a valid value"),
        ({"assets": None}, r"expected \[Array\]"),
        ({"sg_sequence": {"type": "Sequence"}}, "invalid/missing entity hash"),
        ({"sg_sequence": {"type": "Sequence", "id": 99}}, "does not exist"),
        ({"created_at": "2026-01-01T00:00:00Z"}, "not editable"),
    ],
)
def test_a_value_that_cannot_be_is_a_fault_and_writes_nothing(sg, log, data, words):
    made = shot(sg)
    log.new()
    with pytest.raises(shotgun_api3.Fault, match=words):
        sg.update("Shot", made["id"], {"description": "kept out", **data})
    assert log.new() == []
    assert sg.find_one("Shot", [["id", "is", made["id"]]], ["description"])["description"] is None


def test_names_of_projects_are_unique_and_a_project_is_needed(sg, log):
    with pytest.raises(shotgun_api3.Fault, match="required to be unique"):
        sg.create("Project", {"name": "Sandbox"})
    with pytest.raises(shotgun_api3.Fault, match="missing 'project' attribute"):
        sg.create("Shot", {"code": "x"})
    assert log.new() == []


def test_a_row_of_a_connection_that_is_made_by_itself_is_in_the_log(sg, log):
    made, asset = shot(sg), sg.create("Asset", {"code": "hero", "project": PROJECT})
    log.new()
    row = sg.create("AssetShotConnection", {"shot": made, "asset": asset})
    found = kinds(log.new())
    assert found[0] == ("Shotgun_AssetShotConnection_New", None)
    assert {("Shotgun_AssetShotConnection_Change", "shot"), ("Shotgun_Shot_Change", "assets"), ("Shotgun_Asset_Change", "shots")} <= set(found)
    sg.delete("AssetShotConnection", row["id"])
    assert ("Shotgun_Shot_Change", "assets") in kinds(log.new())
    # A list that is written makes the same rows, without a word about them.
    sg.update("Shot", made["id"], {"assets": [asset]})
    assert {kind for kind, _ in kinds(log.new())} == {"Shotgun_Shot_Change", "Shotgun_Asset_Change"}


def test_a_link_that_moves_leaves_rows_on_all_three_sides(sg, log):
    one, two = shot(sg, code="one"), shot(sg, code="two")
    task = sg.create("Task", {"content": "t", "project": PROJECT, "entity": one})
    log.new()
    sg.update("Shot", two["id"], {"tasks": [task]})
    first, *rest = log.new()
    assert kinds([first]) == [("Shotgun_Shot_Change", "tasks")]
    assert ("Shotgun_Task_Change", "entity") in kinds(rest)
    moved = next(row for row in rest if row["event_type"] == "Shotgun_Task_Change")
    assert moved["meta"]["actual_attribute_changed"] == "Shot.tasks"
    assert moved["meta"]["original_event_log_entry_id"] == first["id"]
    assert [[link["name"] for link in moved["meta"][key]] for key in ("added", "removed")] == [["two"], ["one"]]
    left = next(row for row in rest if row["entity"]["id"] == one["id"])
    assert (left["event_type"], left["attribute_name"]) == ("Shotgun_Shot_Change", "tasks")
    assert [link["name"] for link in left["meta"]["removed"]] == ["t"]
    assert len(rest) == 2


def test_links_in_the_meta_tell_their_state(sg, log):
    sequence = sg.create("Sequence", {"code": "sq", "project": PROJECT, "sg_status_list": "ip"})
    shot(sg, sg_sequence=sequence)
    row = next(row for row in log.new() if row["attribute_name"] == "sg_sequence")
    assert (row["meta"]["new_value"]["status"], row["meta"]["new_value"]["name"]) == ("ip", "sq")


def test_a_sentence_tells_who_did_what(site, sg, log):
    made = sg.create("Shot", {"code": "said", "project": PROJECT})
    assert log.new()[0]["description"] == "tests created Shot said"
    site.connect(sudo_as_login="ada").update("Shot", made["id"], {"sg_status_list": "ip"})
    assert log.new()[0]["description"] == 'Ada Lind changed "Status" on Shot said'
    sg.delete("Shot", made["id"])
    assert log.new()[-1]["description"] == "tests deleted Shot said"


def test_rows_of_the_log_are_found_by_what_they_are_about(sg, log):
    made, other = shot(sg, code="about"), shot(sg, code="other")
    rows = log.new()
    first = rows[0]["id"]
    mine = [["id", "greater_than", first - 1]]
    about = [row["id"] for row in rows if row["entity"]["id"] == made["id"]]
    look = lambda *filters: [row["id"] for row in sg.find("EventLogEntry", [*mine, *filters])]  # noqa: E731
    assert look(["entity", "is", made]) == about
    assert look(["entity", "in", [made, other]]) == [row["id"] for row in rows]
    assert look(["entity.Shot.code", "is", "ABOUT"]) == about
    assert look(["entity", "type_is", "Shot"], ["entity", "name_contains", "bou"]) == about
    assert look(["entity", "is_not", made]) == [row["id"] for row in rows if row["id"] not in about]
    assert look(["user", "not_in", [{"type": "ApiUser", "id": 1}]]) == []
    assert look(["project", "is", PROJECT], ["attribute_name", "is", "code"]) == [about[1], about[1] + len(about)]
    assert look(["audit_trail", "is", "whatever"]) == [row["id"] for row in rows]
    assert "audit_trail" not in sg.find_one("EventLogEntry", mine, ["audit_trail", "event_type"])
    # It cannot be sorted by.
    order = [{"field_name": "meta", "direction": "desc"}]
    assert [row["id"] for row in sg.find("EventLogEntry", mine, order=order)] == [row["id"] for row in rows]

"""Every relation of every data type, asked by the official client, against a table; order, paging, links and deep fields."""

from __future__ import annotations

import datetime
import re

import pytest
import shotgun_api3
from conftest import start

PROJECT = {"type": "Project", "id": 1}
TODAY = datetime.datetime.now(datetime.timezone.utc).date()


def day(offset):
    return (TODAY + datetime.timedelta(days=offset)).isoformat()


# Three rows of each: a and b have values, c has none.
TEXT = ("Shot", "description", {"a": "Forest fire", "b": "forest", "c": None})
NUMBER = ("Shot", "sg_cut_in", {"a": 0, "b": 10, "c": None})
FLOAT = ("Version", "sg_movie_aspect_ratio", {"a": 1.5, "b": 2.39, "c": None})
PERCENT = ("Task", "percent_done", {"a": 0, "b": 50, "c": None})
DURATION = ("Task", "est_in_mins", {"a": 60, "b": 90, "c": None})
CHECKBOX = ("Task", "milestone", {"a": True, "b": False, "c": False})
DATE = ("Task", "due_date", {"a": day(0), "b": day(-40), "c": None})
LIST = ("Shot", "sg_shot_type", {"a": "VFX", "b": "Plate", "c": None})
STATUS = ("Version", "sg_status_list", {"a": "rev", "b": "vwd", "c": None})
ENTITY_TYPE = ("Step", "entity_type", {"a": "Shot", "b": "Asset", "c": None})
ENTITY = ("Task", "entity", {"a": "shot", "b": "asset", "c": None})
MULTI = ("Note", "note_links", {"a": ["shot", "asset"], "b": ["asset"], "c": []})
CURRENCY = ("Task", "cost", {"a": 0.0, "b": 99.5, "c": None})
TIMECODE = ("Shot", "timecode_cut_in", {"a": 0, "b": 5000, "c": None})
COLOR = ("Task", "color", {"a": "255,0,0", "b": "pipeline_step", "c": None})
TAG_LIST = ("Shot", "tag_list", {"a": ["Wet", "night"], "b": ["night"], "c": None})
ADDRESSING = ("Note", "addressings_to", {"a": ["ada", "group"], "b": ["group"], "c": []})

# relation, values, which rows.
TABLES = {
    TEXT[:2]: [
        ("is", ["FOREST"], "b"), ("is", [None], "c"), ("is_not", ["forest"], "ac"), ("is_not", [None], "ab"),
        ("contains", ["FIRE"], "a"), ("not_contains", ["fire"], "bc"), ("starts_with", ["forest"], "ab"),
        ("ends_with", ["fire"], "a"), ("in", ["forest", "x"], "b"), ("in", ["forest", None], "bc"), ("not_in", ["forest"], "ac"),
    ],
    NUMBER[:2]: [
        ("is", [0], "a"), ("is", [None], "c"), ("is_not", [0], "bc"), ("less_than", [10], "a"), ("greater_than", [-1], "ab"),
        ("between", [0, 10], "ab"), ("between", [None, 10], ""), ("not_between", [1, 10], "ac"), ("in", [0, 7], "a"),
        ("in", [[0, 10]], "ab"), ("not_in", [0], "bc"),
    ],
    FLOAT[:2]: [
        ("is", [1.5], "a"), ("is_not", [1.5], "bc"), ("greater_than", [1.5], "b"), ("less_than", [2.39], "a"),
        ("between", [1.5, 2.0], "a"), ("in", [2.39, 9.5], "b"), ("not_in", [2.39], "ac"),
    ],
    PERCENT[:2]: [
        ("is", [0], "a"), ("is_not", [0], "bc"), ("greater_than", [0], "b"), ("less_than", [50], "a"),
        ("between", [0, 50], "ab"), ("in", [50], "b"), ("not_in", [50], "ac"),
    ],
    DURATION[:2]: [
        ("is", [60], "a"), ("is_not", [60], "bc"), ("greater_than", [60], "b"), ("less_than", [90], "a"),
        ("between", [60, 89], "a"), ("in", [90], "b"), ("not_in", [90], "ac"),
    ],
    CHECKBOX[:2]: [("is", [True], "a"), ("is_not", [True], "bc"), ("is", [False], "bc")],
    DATE[:2]: [
        ("is", [day(0)], "a"), ("is_not", [day(0)], "bc"), ("greater_than", [day(-40)], "a"), ("less_than", [day(0)], "b"),
        ("in_last", [41, "DAY"], "ab"), ("in_last", [1, "WEEK"], "a"), ("not_in_last", [1, "WEEK"], "bc"),
        ("in_next", [1, "DAY"], "a"), ("not_in_next", [1, "MONTH"], "bc"), ("in_calendar_day", [0], "a"),
        ("in_calendar_day", [-40], "b"), ("in_calendar_week", [0], "a"), ("in_calendar_month", [0], "a"),
        ("in_calendar_year", [5], ""), ("between", [day(-40), day(0)], "ab"), ("in", [day(-40), day(9)], "b"),
        ("not_in", [day(-40)], "ac"),
    ],
    LIST[:2]: [("is", ["vfx"], "a"), ("is_not", ["VFX"], "bc"), ("in", ["Plate", "nonsense"], "b"), ("not_in", ["Plate"], "ac")],
    STATUS[:2]: [("is", ["rev"], "a"), ("is_not", ["rev"], "bc"), ("in", ["vwd", "rev"], "ab"), ("not_in", ["rev"], "bc")],
    ENTITY_TYPE[:2]: [("is", ["Shot"], "a"), ("is_not", ["Shot"], "bc"), ("in", ["Asset"], "b"), ("not_in", ["Asset"], "ac")],
    ENTITY[:2]: [
        ("is", ["shot"], "a"), ("is", [None], "c"), ("is_not", ["shot"], "bc"), ("type_is", ["Asset"], "b"),
        ("type_is_not", ["Asset"], "ac"), ("name_contains", ["HERO"], "b"), ("name_not_contains", ["hero"], "ac"),
        ("name_is", ["a shot"], "a"), ("in", ["shot", "asset"], "ab"), ("not_in", ["shot"], "bc"),
    ],
    MULTI[:2]: [
        ("is", ["shot"], "a"), ("is_not", ["shot"], "bc"), ("is", [None], "c"), ("type_is", ["Shot"], "a"), ("type_is_not", ["Shot"], "bc"),
        ("name_contains", ["hero"], "ab"), ("name_not_contains", ["hero"], "c"), ("in", ["shot", "asset"], "ab"), ("not_in", ["shot"], "bc"),
    ],
    CURRENCY[:2]: [
        ("is", [0], "a"), ("is_not", [0], "bc"), ("less_than", [99.5], "a"), ("greater_than", [0], "b"), ("between", [0, 100], "ab"),
        ("not_between", [1, 100], "ac"), ("in", [99.5, 7], "b"), ("not_in", [99.5], "ac"),
    ],
    TIMECODE[:2]: [
        ("is", [0], "a"), ("is_not", [0], "bc"), ("greater_than", [0], "b"), ("less_than", [5000], "a"),
        ("between", [0, 5000], "ab"), ("in", [5000], "b"), ("not_in", [5000], "ac"),
    ],
    COLOR[:2]: [("is", ["255,0,0"], "a"), ("is_not", ["255,0,0"], "bc"), ("in", ["PIPELINE_STEP", "x"], "b"), ("not_in", ["255,0,0"], "bc")],
    TAG_LIST[:2]: [
        ("is", ["wet"], "a"), ("is", ["night"], "ab"), ("is_not", ["wet"], "bc"), ("name_contains", ["IGH"], "ab"),
        ("name_not_contains", ["we"], "bc"), ("name_id", ["wet"], "a"),
    ],
    ADDRESSING[:2]: [
        ("is", ["ada"], "a"), ("is_not", ["ada"], "bc"), ("contains", ["group"], "ab"), ("not_contains", ["ada"], "bc"),
        ("in", ["ada", "group"], "ab"), ("type_is", ["Group"], "ab"), ("type_is_not", ["HumanUser"], "bc"),
        ("name_contains", ["lind"], "a"), ("name_not_contains", ["lind"], "bc"), ("name_starts_with", ["AD"], "a"),
        ("name_ends_with", ["crew"], "ab"),
    ],
}  # fmt: skip
# What the reference lists for each data type.
LEGAL = {
    "text": "is is_not contains not_contains starts_with ends_with in not_in",
    "number": "is is_not less_than greater_than between not_between in not_in",
    "float": "is is_not greater_than less_than between in not_in",
    "percent": "is is_not greater_than less_than between in not_in",
    "duration": "is is_not greater_than less_than between in not_in",
    "date": "is is_not greater_than less_than in_last not_in_last in_next not_in_next in_calendar_day in_calendar_week"
    " in_calendar_month in_calendar_year between in not_in",
    "checkbox": "is is_not",
    "list": "is is_not in not_in",
    "status_list": "is is_not in not_in",
    "entity_type": "is is_not in not_in",
    "uuid": "is is_not in not_in",
    "entity": "is is_not type_is type_is_not name_contains name_not_contains name_is in not_in",
    "multi_entity": "is is_not type_is type_is_not name_contains name_not_contains in not_in",
    "addressing": "is is_not contains not_contains in type_is type_is_not name_contains name_not_contains"
    " name_starts_with name_ends_with",
    "image": "is is_not",
}
LEGAL["date_time"] = LEGAL["date"]
LEGAL["currency"] = LEGAL["number"]
LEGAL["timecode"] = LEGAL["duration"]
LEGAL["color"] = LEGAL["list"]
LEGAL["tag_list"] = "is is_not name_contains name_not_contains name_id"
LEGAL["jsonb"] = "is is_not contains not_contains"
NEVER = {"serializable", "password", "url"}


class Stage:
    """A site with three rows for each data type, and the links between them."""

    def __init__(self, site) -> None:
        self.site = site
        self.sg = site.connect()
        self.links = {
            "shot": self.sg.create("Shot", {"code": "a shot", "project": PROJECT}),
            "asset": self.sg.create("Asset", {"code": "the hero", "project": PROJECT}),
            "ada": self.sg.find_one("HumanUser", [["login", "is", "ada"]]),
            "group": self.sg.create("Group", {"code": "film crew"}),
        }
        self.rows = {}
        for kind, field, values in (
            TEXT, NUMBER, FLOAT, PERCENT, DURATION, CHECKBOX, DATE, LIST, STATUS, ENTITY_TYPE, ENTITY, MULTI, ADDRESSING,
            CURRENCY, TIMECODE, COLOR, TAG_LIST,
        ):  # fmt: skip
            self.rows[kind, field] = {letter: self.make(kind, field, value) for letter, value in values.items()}

    def make(self, kind, field, value):
        data = {field: self.value(value)}
        if kind != "Step":
            data["project"] = PROJECT
        made = self.sg.create(kind, {name: item for name, item in data.items() if item is not None})
        if value is None:  # not what the site fills in
            self.sg.update(kind, made["id"], {field: None})
        return made["id"]

    def value(self, value):
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return self.links.get(value, value) if isinstance(value, str) else value

    def matching(self, kind, field, relation, values):
        rows = self.rows[kind, field]
        mine = ["id", "in", list(rows.values())]
        found = {row["id"] for row in self.sg.find(kind, [mine, [field, relation, *map(self.value, values)]])}
        return "".join(letter for letter, row in rows.items() if row in found)


@pytest.fixture(scope="module")
def stage():
    for site in start("empty"):
        yield Stage(site)


@pytest.mark.parametrize("column", TABLES, ids=".".join)
def test_each_relation_finds_its_rows(stage, column):
    for relation, values, wanted in TABLES[column]:
        assert stage.matching(*column, relation, values) == wanted, (column, relation, values)


def test_every_relation_of_every_data_type_is_in_a_table(stage):
    schema = stage.sg.schema_read()
    for kind, field in TABLES:
        word = schema[kind][field]["data_type"]["value"]
        assert {row[0] for row in TABLES[kind, field]} == set(LEGAL[word].split()), word
    tested = {schema[kind][field]["data_type"]["value"] for kind, field in TABLES}
    # The others have tests of their own below.
    assert set(LEGAL) - tested == {"date_time", "uuid", "image", "jsonb"}


def test_the_site_names_the_relations_that_a_field_has(stage):
    for kind, fields in stage.sg.schema_read().items():
        for field, about in fields.items():
            word = about["data_type"]["value"]
            with pytest.raises(shotgun_api3.Fault) as caught:
                stage.sg.find(kind, [[field, "resembles", 1]])
            text = str(caught.value)
            if word in NEVER:
                assert "cannot be used in a filter" in text, (kind, field)
            else:
                named = re.findall(r'"(\w+)"', text.split("Valid relations:")[1])
                assert sorted(named) == sorted(LEGAL[word].split()), (kind, field)


def test_moments_are_found_by_span_and_calendar(stage):
    sg, made = stage.sg, stage.links["shot"]["id"]
    mine = ["id", "is", made]
    at = sg.find_one("Shot", [mine], ["created_at"])["created_at"]
    second = datetime.timedelta(seconds=1)
    for relation, values, wanted in [
        ("is", [at], 1),
        ("is_not", [at], 0),
        ("greater_than", [at - second], 1),
        ("less_than", [at], 0),
        ("between", [at - second, at], 1),
        ("in", [[at]], 1),
        ("not_in", [[at]], 0),
        ("in_last", [1, "HOUR"], 1),
        ("not_in_last", [1, "YEAR"], 0),
        ("in_calendar_year", [0], 1),
        ("in_calendar_month", [-13], 0),
        ("in_calendar_day", [3], 0),
        ("in_calendar_week", [-2], 0),
    ]:
        assert len(sg.find("Shot", [mine, ["created_at", relation, *values]])) == wanted, relation
    # It may be this very second, so both answers are right, but only one of them.
    ahead = [sg.find("Shot", [mine, ["created_at", relation, 1, "DAY"]]) for relation in ("in_next", "not_in_next")]
    assert sorted(map(len, ahead)) == [0, 1]


def test_a_session_and_a_thumbnail_are_filtered_too(stage):
    sg = stage.site.connect()
    sg.set_session_uuid("dd6a1d6a-83a0-11ec-8826-0242ac110006")
    sg.update("Asset", stage.links["asset"]["id"], {"description": "x"})
    for relation, values, wanted in [
        ("is", ["dd6a1d6a-83a0-11ec-8826-0242ac110006"], True),
        ("in", [["dd6a1d6a-83a0-11ec-8826-0242ac110006"]], True),
        ("not_in", [["dd6a1d6a-83a0-11ec-8826-0242ac110006"]], False),
        ("is_not", [None], True),
    ]:
        mine = ["entity", "is", stage.links["asset"]]
        found = sg.find("EventLogEntry", [mine, ["session_uuid", relation, *values]], ["attribute_name"])
        assert any(row["attribute_name"] == "description" for row in found) is wanted, relation
    assert sg.find("Shot", [["image", "is_not", None]]) == []
    assert len(sg.find("Shot", [["image", "is", None]])) == len(sg.find("Shot", []))
    with pytest.raises(shotgun_api3.Fault, match="NilClass"):
        sg.find("Shot", [["image", "is", "x.png"]])


def test_groups_of_conditions_nest_at_will(stage):
    rows = stage.rows[NUMBER[:2]]

    def any_of(*filters):
        return {"filter_operator": "any", "filters": list(filters)}

    def all_of(*filters):
        return {"filter_operator": "all", "filters": list(filters)}

    a, b = ["id", "is", rows["a"]], ["id", "is", rows["b"]]
    for filters, wanted in [
        ([any_of(a, b)], "ab"),
        ([any_of(all_of(a, b), b)], "b"),
        ([all_of(any_of(a, b), any_of(b, ["sg_cut_in", "is", 99]))], "b"),
        ([any_of(), a], "a"),
        ([any_of(a, all_of(any_of(all_of(b))))], "ab"),
    ]:
        found = {row["id"] for row in stage.sg.find("Shot", filters)}
        assert found == {rows[letter] for letter in wanted}, filters
    found = {row["id"] for row in stage.sg.find("Shot", [a, b], filter_operator="any")}
    assert found == {rows["a"], rows["b"]}


def test_deep_fields_are_followed_in_filters_answers_and_orders(stage):
    sg, rows = stage.sg, stage.rows[ENTITY[:2]]
    mine = ["id", "in", list(rows.values())]
    fields = ["entity.Shot.code", "entity.Asset.code", "entity.Shot.project.Project.name", "entity.Shot.nope"]
    found = {row["id"]: row for row in sg.find("Task", [mine], fields)}
    assert found[rows["a"]] == {
        "type": "Task",
        "id": rows["a"],
        "entity.Shot.code": "a shot",
        "entity.Asset.code": None,
        "entity.Shot.project.Project.name": "Sandbox",
    }
    assert found[rows["b"]]["entity.Asset.code"] == "the hero"
    for path, relation, value, wanted in [
        ("entity.Shot.code", "is", "A SHOT", "a"),
        ("entity.Shot.project.Project.name", "is", "sandbox", "a"),
        ("entity.Shot.project", "is", PROJECT, "a"),
        ("entity.Asset.code", "contains", "hero", "b"),
        ("entity.Shot.code", "is", None, "bc"),
    ]:
        ids = {row["id"] for row in sg.find("Task", [mine, [path, relation, value]])}
        assert ids == {rows[letter] for letter in wanted}, path
    order = [{"field_name": "entity.Shot.code", "direction": "asc"}, {"field_name": "id", "direction": "desc"}]
    assert [row["id"] for row in sg.find("Task", [mine], order=order)] == [rows[letter] for letter in "acb"]
    notes = stage.rows[MULTI[:2]]
    through = sg.find("Note", [["note_links.Shot.code", "is", "a shot"]], ["note_links.Shot.code"])
    assert through == [{"type": "Note", "id": notes["a"]}]


def test_pages_follow_each_other_without_a_gap_or_a_double(stage):
    sg = stage.sg
    every = [row["id"] for row in sg.find("EventLogEntry", [])]
    assert every == sorted(set(every)) == stage.site.truth()
    for size in (1, 7, len(every), len(every) + 1):
        pages = [sg.find("EventLogEntry", [], limit=size, page=number) for number in range(1, 6)]
        ids = [row["id"] for page in pages for row in page]
        assert ids == every[: 5 * size]
    assert sg.find("EventLogEntry", [], limit=3, page=1_000_000) == []


def test_orders_have_many_keys_and_put_nothing_last(stage):
    sg, rows = stage.sg, stage.rows[NUMBER[:2]]
    mine = ["id", "in", list(rows.values())]
    by = lambda *keys: [row["id"] for row in sg.find("Shot", [mine], order=list(keys))]  # noqa: E731
    up = {"field_name": "sg_cut_in", "direction": "asc"}
    assert by(up) == [rows["a"], rows["b"], rows["c"]]
    assert by({"field_name": "sg_status_list"}, {"field_name": "id", "direction": "desc"}) == [rows["c"], rows["b"], rows["a"]]
    assert by({"field_name": "nonsense"}) == [rows["a"], rows["b"], rows["c"]]


def test_archived_projects_are_shown_unless_they_shall_not(stage):
    sg = stage.sg
    old = sg.create("Project", {"name": "Old", "archived": True})
    made = sg.create("Shot", {"code": "old", "project": old})
    mine = [["id", "is", made["id"]]]
    count = [{"field": "id", "type": "count"}]
    assert len(sg.find("Shot", mine)) == 1
    assert sg.find("Shot", mine, include_archived_projects=False) == []
    assert sg.find_one("Project", [["name", "is", "Old"]], include_archived_projects=False) is None
    assert len(sg.find("Shot", [], include_archived_projects=False)) == len(sg.find("Shot", [])) - 1
    assert sg.summarize("Shot", mine, count)["summaries"] == {"id": 1}
    assert sg.summarize("Shot", mine, count, include_archived_projects=False)["summaries"] == {"id": 0}


def test_a_preset_that_is_not_known_is_a_fault(stage):
    with pytest.raises(shotgun_api3.Fault, match="preset"):
        stage.sg.find("Shot", [], additional_filter_presets=[{"preset_name": "NONSENSE"}])


def test_the_latest_are_those_of_what_the_filters_leave(stage):
    sg = stage.sg
    project = sg.create("Project", {"name": "latest"})
    shots = [sg.create("Shot", {"code": f"latest_{name}", "project": project}) for name in "ab"]
    made = [
        sg.create("Version", {"code": f"v{number}", "project": project, "entity": shot, "sg_status_list": state})
        for number, (shot, state) in enumerate([(shots[0], "rev"), (shots[0], "vwd"), (shots[1], "rev")])
    ]
    latest = [{"preset_name": "LATEST", "latest_by": "ENTITIES_CREATED_AT"}]

    def codes(*filters):
        of = [["project", "is", project], *filters]
        found = sg.find("Version", of, ["code"], additional_filter_presets=latest)
        return [version["code"] for version in found]

    assert codes() == ["v1", "v2"]
    assert codes(["sg_status_list", "is", "rev"]) == ["v0", "v2"]
    one = sg.find_one("Version", [["id", "is", made[0]["id"]]], additional_filter_presets=latest)
    assert one["id"] == made[0]["id"]
    sg.delete("Version", made[1]["id"])
    assert codes() == ["v0", "v2"]

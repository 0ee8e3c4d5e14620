"""Summaries of every kind, grouped in every way, against a table."""

from __future__ import annotations

import pytest
import shotgun_api3
from conftest import start

PROJECT = {"type": "Project", "id": 1}


@pytest.fixture(scope="module")
def sg():
    for site in start("empty"):
        sg = site.connect()
        ada = {"type": "HumanUser", "id": 1}
        shots = [sg.create("Shot", {"code": code, "project": PROJECT}) for code in ("ant", "bee")]
        for content, state, minutes, due, milestone, entity, people in [
            ("Anim", "fin", 60, "2026-01-05", True, shots[0], [ada]),
            ("anew", "fin", 90, "2026-02-17", False, shots[0], []),
            ("Comp", "ip", None, "2026-02-19", True, shots[1], []),
            ("comp two", "wtg", 1500, None, False, None, []),
        ]:
            data = {"content": content, "project": PROJECT, "sg_status_list": state, "est_in_mins": minutes, "due_date": due}
            data.update(milestone=milestone, entity=entity, task_assignees=people)
            sg.create("Task", {key: value for key, value in data.items() if value is not None})
        yield sg


@pytest.mark.parametrize(
    ("field", "word", "wanted"),
    [
        ("id", "count", 4), ("id", "record_count", 4), ("due_date", "count", 3), ("entity", "count", 3), ("entity", "record_count", 4),
        ("est_in_mins", "sum", 1650), ("est_in_mins", "maximum", 1500), ("est_in_mins", "minimum", 60), ("est_in_mins", "average", 550.0),
        ("due_date", "earliest", "2026-01-05"), ("due_date", "latest", "2026-02-19"), ("milestone", "checked", 2), ("milestone", "unchecked", 2),
        ("milestone", "percentage", 50), ("sg_status_list", "status_percentage", 50), ("sg_status_list", "status_percentage_as_float", 0.5),
        ("sg_status_list", "status_list", "ip"), ("entity.Shot.code", "count", 3),
    ],
)  # fmt: skip
def test_each_summary(sg, field, word, wanted):
    told = sg.summarize("Task", [], [{"field": field, "type": word}])
    assert told == {"summaries": {field: wanted}, "groups": []}


def test_of_one_field_the_last_summary_wins_and_of_no_rows_there_is_nothing(sg):
    twice = [{"field": "est_in_mins", "type": "sum"}, {"field": "est_in_mins", "type": "maximum"}, {"field": "id", "type": "count"}]
    assert sg.summarize("Task", [], twice)["summaries"] == {"est_in_mins": 1500, "id": 4}
    none = [["content", "is", "no such"]]
    words = [{"field": "est_in_mins", "type": "sum"}, {"field": "due_date", "type": "latest"}, {"field": "id", "type": "count"}]
    assert sg.summarize("Task", none, words)["summaries"] == {"est_in_mins": 0, "due_date": None, "id": 0}


@pytest.mark.parametrize(
    ("field", "how", "wanted"),
    [
        ("sg_status_list", "exact", {"fin": 2, "ip": 1, "wtg": 1}),
        ("milestone", "exact", {"false": 2, "true": 2}),
        ("entity", "exact", {"ant": 2, "bee": 1, "": 1}),
        ("entity", "entitytype", {"Shot": 3, "": 1}),
        ("task_assignees", "exact", {"Ada Lind": 1, "": 3}),
        ("entity.Shot.code", "exact", {"ant": 2, "bee": 1, "": 1}),
        ("content", "firstletter", {"A": 2, "C": 2}),
        ("est_in_mins", "tens", {"60 - 69": 1, "90 - 99": 1, "1500 - 1509": 1, "": 1}),
        ("est_in_mins", "hundreds", {"0 - 99": 2, "1500 - 1599": 1, "": 1}),
        ("est_in_mins", "thousands", {"0 - 999": 2, "1000 - 1999": 1, "": 1}),
        ("est_in_mins", "millions", {"0 - 999999": 3, "": 1}),
        ("due_date", "day", {"2026-01-05": 1, "2026-02-17": 1, "2026-02-19": 1, "": 1}),
        ("due_date", "week", {"Week of 2026-01-05": 1, "Week of 2026-02-16": 2, "": 1}),
        ("due_date", "month", {"January 2026": 1, "February 2026": 2, "": 1}),
        ("due_date", "quarter", {"Q1 2026": 3, "": 1}),
        ("due_date", "year", {"2026": 3, "": 1}),
    ],
)
def test_each_grouping(sg, field, how, wanted):
    for direction in ("asc", "desc"):
        grouping = [{"field": field, "type": how, "direction": direction}]
        groups = sg.summarize("Task", [], [{"field": "id", "type": "count"}], grouping=grouping)["groups"]
        names = list(wanted) if direction == "asc" else list(reversed(wanted))
        assert [(group["group_name"], group["summaries"]["id"]) for group in groups] == [(name, wanted[name]) for name in names]
    empty = [group for group in groups if group["group_name"] == ""]
    assert all(group["group_value"] is None for group in empty)


def test_groups_of_links_carry_the_whole_link_and_groups_nest(sg):
    grouping = [{"field": "entity", "type": "exact", "direction": "asc"}, {"field": "sg_status_list", "type": "exact", "direction": "asc"}]
    told = sg.summarize("Task", [["entity", "is_not", None]], [{"field": "est_in_mins", "type": "sum"}], grouping=grouping)
    first = told["groups"][0]
    assert first["group_value"] == {"type": "Shot", "id": 1, "name": "ant"}
    assert first["summaries"] == {"est_in_mins": 150}
    assert first["groups"] == [{"group_name": "fin", "group_value": "fin", "summaries": {"est_in_mins": 150}}]
    assert "groups" not in first["groups"][0]


@pytest.mark.parametrize(
    ("summaries", "grouping", "words"),
    [
        ([{"field": "nope", "type": "count"}], None, "Task.nope doesn't exist"),
        ([{"field": "content", "type": "sum"}], None, "invalid summary type 'sum'"),
        ([{"field": "content", "type": "nonsense"}], None, "invalid summary type 'nonsense'"),
        ([{"field": "content"}], None, "'summaries'"),
        ([{"field": "id", "type": "count"}], [{"field": "nope", "type": "exact"}], "Task.nope doesn't exist"),
        ([{"field": "id", "type": "count"}], [{"field": "content", "type": "tens"}], "invalid grouping type 'tens'"),
        ([{"field": "id", "type": "count"}], [3], "'grouping'"),
    ],
)
def test_what_cannot_be_summed_up_is_a_fault(sg, summaries, grouping, words):
    with pytest.raises(shotgun_api3.Fault, match=words):
        sg.summarize("Task", [], summaries, grouping=grouping)

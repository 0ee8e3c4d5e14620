"""Writes: lists of links by mode and from both sides, connections, templates, files, people, what a create may say."""

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


def make(sg, kind, **data):
    return sg.create(kind, {"project": PROJECT, **data})


def ids(rows):
    return [row["id"] for row in rows]


def look(sg, row, field):
    return sg.find_one(row["type"], [["id", "is", row["id"]]], [field])[field]


def test_lists_are_set_added_to_and_taken_from(sg):
    a, b, c = [make(sg, "Version", code=code) for code in "abc"]
    playlist = make(sg, "Playlist", code="dailies", versions=[a, b])

    def write(mode, *links):
        told = sg.update("Playlist", playlist["id"], {"versions": list(links)}, multi_entity_update_modes={"versions": mode})
        assert ids(told["versions"]) == ids(look(sg, playlist, "versions"))
        return ids(told["versions"])

    assert write("add", b, c) == ids([a, b, c])
    assert write("remove", a, c) == ids([b])
    assert write("remove", a) == ids([b])
    assert write("set", c, c, a) == ids([c, a])
    assert write("set") == []
    assert ids(look(sg, a, "playlists")) == []
    batch = {"request_type": "update", "entity_type": "Playlist", "entity_id": playlist["id"]}
    add = {**batch, "data": {"versions": [a]}, "multi_entity_update_modes": {"versions": "add"}}
    sg.batch([add, {**add, "data": {"versions": [b]}}])
    assert ids(look(sg, playlist, "versions")) == ids([a, b])
    for wrong in (None, a, [3], [{"type": "Version"}]):
        with pytest.raises(shotgun_api3.Fault):
            sg.update("Playlist", playlist["id"], {"versions": wrong})
    with pytest.raises(shotgun_api3.Fault, match="multi_entity_update_mode"):
        sg.update("Playlist", playlist["id"], {"versions": [a]}, multi_entity_update_modes={"versions": "replace"})


def test_both_sides_of_a_link_say_the_same_whichever_is_written(sg):
    one, two = make(sg, "Shot", code="one"), make(sg, "Shot", code="two")
    task = make(sg, "Task", content="comp", entity=one)
    assert ids(look(sg, one, "tasks")) == ids([task])
    sg.update("Shot", two["id"], {"tasks": [task]})
    assert look(sg, task, "entity")["name"] == "two"
    assert ids(look(sg, one, "tasks")) == []
    sg.update("Shot", two["id"], {"tasks": []})
    assert look(sg, task, "entity") is None
    note = make(sg, "Note", subject="n", note_links=[one, two])
    assert (ids(look(sg, one, "notes")), look(sg, one, "open_notes_count")) == (ids([note]), 1)
    sg.update("Note", note["id"], {"sg_status_list": "clsd"})
    assert (look(sg, one, "open_notes"), look(sg, one, "open_notes_count")) == ([], 0)
    upstream = make(sg, "Task", content="anim")
    sg.update("Task", task["id"], {"upstream_tasks": [upstream]})
    assert ids(look(sg, upstream, "downstream_tasks")) == ids([task])


def test_a_link_has_a_row_of_its_own_and_such_a_row_is_a_link(sg):
    version, other = make(sg, "Version", code="v"), make(sg, "Version", code="w")
    playlist = make(sg, "Playlist", code="p", versions=[version])
    rows = lambda: sg.find("PlaylistVersionConnection", [["playlist", "is", playlist]], ["version", "version.Version.code"])  # noqa: E731
    (row,) = rows()
    assert (row["version"]["id"], row["version.Version.code"]) == (version["id"], "v")
    sg.update("PlaylistVersionConnection", row["id"], {"sg_sort_order": 3})
    made = sg.create("PlaylistVersionConnection", {"playlist": playlist, "version": other})
    assert ids(look(sg, playlist, "versions")) == ids([version, other])
    assert ids(look(sg, other, "playlists")) == ids([playlist])
    sg.delete("PlaylistVersionConnection", made["id"])
    assert ids(look(sg, playlist, "versions")) == ids([version])
    sg.update("Version", version["id"], {"playlists": []})
    assert rows() == []


def test_a_template_brings_its_tasks_and_their_order(site, sg):
    template = sg.create("TaskTemplate", {"code": "Film", "entity_type": "Shot"})
    anim = sg.create("Task", {"content": "anim", "task_template": template, "step": {"type": "Step", "id": 2}})
    comp = sg.create("Task", {"content": "comp", "task_template": template, "upstream_tasks": [anim]})
    before = site.truth()[-1]
    shot = make(sg, "Shot", code="t", task_template=template)
    fields = ["content", "entity", "step", "template_task", "upstream_tasks", "project"]
    tasks = sg.find("Task", [["entity", "is", shot]], fields)
    assert [(task["content"], task["template_task"]["id"], task["project"]["id"]) for task in tasks] == [
        ("anim", anim["id"], 1),
        ("comp", comp["id"], 1),
    ]
    assert tasks[0]["step"]["name"] == "Animation"
    assert ids(tasks[1]["upstream_tasks"]) == [tasks[0]["id"]]
    rows = sg.find("EventLogEntry", [["id", "greater_than", before]], ["event_type", "attribute_name"])
    kinds = [(row["event_type"], row["attribute_name"]) for row in rows]
    assert kinds.count(("Shotgun_Task_New", None)) == 2
    assert kinds.count(("Shotgun_Shot_Change", "tasks")) == 2
    assert kinds.count(("Shotgun_TaskDependency_New", None)) == 1
    with pytest.raises(shotgun_api3.Fault, match="missing 'project'"):
        sg.create("Task", {"content": "alone"})


def test_files_are_pages_or_paths_of_a_storage(sg):
    storage = sg.create("LocalStorage", {"code": "primary", "linux_path": "/mnt/show", "windows_path": "S:\\show"})
    version = make(sg, "Version", code="v", sg_uploaded_movie={"url": "https://example.com/a.mov", "name": "a.mov"})
    movie = look(sg, version, "sg_uploaded_movie")
    assert movie == {
        "url": "https://example.com/a.mov", "name": "a.mov", "content_type": None, "link_type": "web", "type": "Attachment", "id": movie["id"],
    }  # fmt: skip
    assert look(sg, {"type": "Attachment", "id": movie["id"]}, "this_file")["url"] == "https://example.com/a.mov"
    file = make(sg, "PublishedFile", code="f", path={"local_path": "/mnt/show/a/b.exr"})
    path = look(sg, file, "path")
    assert (path["relative_path"], path["link_type"], path["name"]) == ("a/b.exr", "local", "b.exr")
    assert (path["local_path_windows"], path["local_path_mac"]) == ("S:\\show\\a\\b.exr", None)
    assert path["local_path"] == "/mnt/show/a/b.exr"  # of the client
    assert path["local_storage"]["id"] == storage["id"]
    named = make(sg, "PublishedFile", code="g", path={"relative_path": "c.exr", "local_storage": storage})
    assert look(sg, named, "path")["local_path_linux"] == "/mnt/show/c.exr"
    for wrong, words in [({"local_path": "/elsewhere/x"}, "no path of a local storage"), ("text", r"expected \[Hash, NilClass\]"), ({}, "no page")]:
        with pytest.raises(shotgun_api3.Fault, match=words):
            sg.update("PublishedFile", file["id"], {"path": wrong})
    assert sg.update("PublishedFile", file["id"], {"path": None})["path"] is None


def test_people_have_one_name_however_it_is_written(sg):
    one = sg.create("HumanUser", {"name": "Grace Brewster Hopper", "login": "grace"}, ["firstname", "lastname"])
    assert (one["firstname"], one["lastname"]) == ("Grace", "Brewster Hopper")
    two = sg.create("HumanUser", {"firstname": "Alan", "lastname": "Turing", "login": "alan", "password_proxy": "secret"})
    assert look(sg, two, "name") == "Alan Turing"
    assert set(look(sg, two, "password_proxy")) == {"*"}
    sg.update("HumanUser", two["id"], {"lastname": "M. Turing"})
    assert sg.find_one("HumanUser", [["name", "is", "alan m. turing"]])["id"] == two["id"]
    made = make(sg, "Task", content="x", task_assignees=[two])
    assert look(sg, made, "task_assignees")[0]["name"] == "Alan M. Turing"
    with pytest.raises(shotgun_api3.Fault, match="CRUD ERROR #61: Create failed for .HumanUser.login.. The value for the Login field"):
        sg.create("HumanUser", {"firstname": "X", "login": "GRACE"})
    with pytest.raises(shotgun_api3.Fault, match="CRUD ERROR #51: Update failed"):
        sg.update("HumanUser", two["id"], {"login": "grace"})
    sg.update("HumanUser", two["id"], {"login": "alan"})


def test_a_publisher_says_who_made_it_and_when(sg):
    at = datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    made = make(sg, "PublishedFile", code="p", created_by=ADA, created_at=at)
    found = sg.find_one("PublishedFile", [["id", "is", made["id"]]], ["created_by", "created_at", "updated_by"])
    assert (found["created_by"]["name"], found["created_at"]) == ("Ada Lind", at)
    assert found["updated_by"]["name"] == "tests"
    with pytest.raises(shotgun_api3.Fault, match="not editable"):
        sg.update("PublishedFile", made["id"], {"created_by": ADA})


def test_who_changed_it_last_is_who_changed_anything(site, sg):
    shot = make(sg, "Shot", code="a")
    site.connect(sudo_as_login="ada").update("Shot", shot["id"], {"code": "a"})
    assert look(sg, shot, "updated_by")["name"] == "tests"
    site.connect(sudo_as_login="ada").update("Shot", shot["id"], {"code": "b"})
    assert look(sg, shot, "updated_by")["name"] == "Ada Lind"


def test_a_note_is_by_who_writes_it(site, sg):
    note = make(site.connect(sudo_as_login="ada"), "Note", subject="n")
    assert look(sg, note, "user") == {**ADA, "name": "Ada Lind"}
    assert look(sg, make(sg, "Note", subject="n", user=ADA), "user")["id"] == 1


def test_times_are_kept_in_utc(sg):
    user = sg.find_one("HumanUser", [])
    for written, kept in [
        ("2008-10-13T23:10:00Z", "2008-10-13T23:10:00"),
        ("2008-10-13T23:10:00+02:00", "2008-10-13T21:10:00"),
        ("2008-10-13", "2008-10-13T00:00:00"),
        ("2008-10-13T23:10:00", "2008-10-13T23:10:00"),
    ]:
        sg.update("HumanUser", user["id"], {"locked_until": written})
        assert look(sg, user, "locked_until").astimezone(datetime.timezone.utc).isoformat()[:19] == kept
    sg.update("HumanUser", user["id"], {"locked_until": None})
    for field, wrong in [("due_date", "2026-01-01T00:00:00Z"), ("due_date", "2026-02-30"), ("start_date", "soon")]:
        with pytest.raises(shotgun_api3.Fault, match=r"expected \[Date, NilClass\]"):
            make(sg, "Task", content="x", **{field: wrong})


def test_text_is_trimmed_and_nothing_is_null(sg):
    shot = make(sg, "Shot", code="  sh 010 ", description="   ")
    assert (look(sg, shot, "code"), look(sg, shot, "description")) == ("sh 010", None)
    assert sg.update("Shot", shot["id"], {"description": "é < b &lt; \u2028 \U0001f98a"})["description"].startswith("é < b < ")


def test_what_was_retired_is_found_only_among_the_retired(sg):
    shot = make(sg, "Shot", code="gone")
    task = make(sg, "Task", content="c", entity=shot)
    assert sg.delete("Shot", shot["id"]) is True
    mine = [["id", "is", shot["id"]]]
    assert (sg.find("Shot", mine), ids(sg.find("Shot", mine, retired_only=True))) == ([], ids([shot]))
    assert look(sg, task, "entity") is None
    with pytest.raises(shotgun_api3.Fault, match="CRUD ERROR #3"):
        sg.update("Shot", shot["id"], {"code": "x"})
    assert sg.revive("Shot", shot["id"]) is True
    assert look(sg, task, "entity")["name"] == "gone"


def test_the_latest_of_each_entity(sg):
    one, two = make(sg, "Shot", code="l1"), make(sg, "Shot", code="l2")
    task = {step: make(sg, "Task", content="t", step={"type": "Step", "id": step}) for step in (1, 5)}
    at = lambda day: f"2020-01-0{day}T00:00:00Z"  # noqa: E731
    old = make(sg, "Version", code="old", entity=one, created_at=at(1), sg_task=task[5])
    new = make(sg, "Version", code="new", entity=one, created_at=at(3), sg_task=task[1])
    lone = make(sg, "Version", code="lone", entity=two, created_at=at(2))
    mine = [["id", "in", ids([old, new, lone])]]

    def latest(by, kind="Version", filters=mine, **more):
        return ids(sg.find(kind, filters, additional_filter_presets=[{"preset_name": "LATEST", "latest_by": by, **more}]))

    assert latest("ENTITIES_CREATED_AT") == ids([new, lone])
    assert latest("BY_PIPELINE_STEP_NUMBER_AND_ENTITIES_CREATED_AT") == ids([old, lone])
    files = [make(sg, "PublishedFile", code="f", name="scene", entity=one, version_number=number) for number in (2, 3, 1)]
    assert latest("VERSION_NUMBER", "PublishedFile", [["id", "in", ids(files)]]) == [files[1]["id"]]
    assert latest("ENTITIES_CREATED_AT", "PublishedFile", [["id", "in", ids(files)]]) == [files[2]["id"]]
    cuts = [make(sg, "Cut", code="c", entity=PROJECT, revision_number=number) for number in (1, 2)]
    assert latest("REVISION_NUMBER", "Cut", []) == [cuts[1]["id"]]
    make(sg, "CutItem", code="i", cut=cuts[1], shot=two)
    preset = {"preset_name": "CUT_SHOT_VERSIONS", "cut_id": cuts[1]["id"]}
    assert ids(sg.find("Version", mine, additional_filter_presets=[preset])) == ids([lone])
    for wrong in ([{}], 3, [3], [{"preset_name": "BAD"}], [{"preset_name": "LATEST"}], [{"preset_name": "LATEST", "latest_by": "VERSION_NUMBER"}]):
        with pytest.raises(shotgun_api3.Fault, match="additional_filter_presets"):
            sg.find("Version", mine, additional_filter_presets=wrong)


def test_rows_are_found_by_who_links_to_them(sg):
    shot, other = make(sg, "Shot", code="f1"), make(sg, "Shot", code="f2")
    make(sg, "Task", content="rare thing", entity=shot)
    mine = ["id", "in", ids([shot, other])]
    assert ids(sg.find("Shot", [mine, ["$FROM$Task.entity.content", "is", "rare thing"]])) == ids([shot])
    assert ids(sg.find("Shot", [mine, ["$FROM$EventLogEntry.entity.event_type", "is", "Shotgun_Shot_New"]])) == ids([shot, other])
    assert ids(sg.find("Shot", [mine, ["tasks.Task.step.Step.code", "is", None]])) == ids([shot, other])
    with pytest.raises(shotgun_api3.Fault, match="doesn't exist"):
        sg.find("Shot", [["$FROM$Nonsense.entity.id", "is", 1]])


def test_time_that_was_logged_adds_up(sg):
    task = make(sg, "Task", content="t", est_in_mins=100)
    for minutes in (30, 45):
        make(sg, "TimeLog", entity=task, user=ADA, duration=minutes, date="2026-01-01")
    fields = ["time_logs_sum", "time_logs_over_under_bid", "time_percent_of_est"]
    found = sg.find_one("Task", [["id", "is", task["id"]]], fields)
    assert [found[field] for field in fields] == [75, -25, 75]


VALUES = [
    # type, field, values as they are written and read, values that are refused
    ("Shot", "description", [("a", "a"), ("", None), (" b ", "b"), (None, None)], [1, 1.5, True, [], {}]),
    ("Shot", "sg_cut_in", [(0, 0), (-5, -5), (2**31 - 1, 2**31 - 1), (None, None)], ["1", 1.5, True, [1], 2**31, -(2**40)]),
    ("Version", "sg_movie_aspect_ratio", [(1.85, 1.85), (2, 2.0), (None, None)], ["1.85", True, [], {}]),
    ("Task", "cost", [(9.99, 9.99), (10, 10.0), (None, None)], ["9", False]),
    ("Task", "percent_done", [(150, 150), (-1, -1)], [1.5, "50"]),
    ("Task", "duration", [(480, 480)], [0.5, "1d"]),
    ("Shot", "timecode_cut_in", [(4000, 4000)], ["00:00:04:00"]),
    ("Task", "milestone", [(True, True), (False, False)], [None, 1, "true"]),
    ("Task", "due_date", [("2026-02-28", "2026-02-28"), (None, None)], ["2026-02-29", "28.2.2026", "2026-02-28T00:00:00Z", 20260228]),
    ("Shot", "sg_shot_type", [("VFX", "VFX"), ("", None), (None, None)], ["vfx", "nonsense", 1]),
    ("Shot", "sg_status_list", [("ip", "ip"), (None, None)], ["IP", "nonsense", 1, []]),
    ("Task", "color", [("255,0,0", "255,0,0"), ("pipeline_step", "pipeline_step")], [255, [255, 0, 0]]),
    ("Task", "entity", [(None, None)], ["Shot_1", 1, [], {}, {"type": "Shot"}, {"id": 1}, {"type": "Shot", "id": "1"}, {"type": "Nonsense", "id": 1}]),
    ("Task", "task_assignees", [([], []), ([ADA], [{**ADA, "name": "Ada Lind"}])], [None, ADA, "ada", [None], [[ADA]], [{"type": "HumanUser"}]]),
    ("Note", "addressings_to", [([ADA], [{**ADA, "name": "Ada Lind"}])], [None, ADA]),
    ("Shot", "tag_list", [(["a", "b"], ["a", "b"]), ([], [])], [["a", 1], "a"]),
    ("Shot", "image", [(None, None)], []),
    ("Step", "entity_type", [("Shot", "Shot"), (None, None)], [1, []]),
    ("Project", "tracking_settings", [({"a": [1, None]}, {"a": [1, None]}), ([], []), (None, None)], []),
    ("Shot", "smart_cut_in", [], [1]),
    ("Shot", "cached_display_name", [], ["x"]),
    ("Shot", "id", [], [5]),
]


@pytest.mark.parametrize(("kind", "field", "taken", "refused"), VALUES, ids=[f"{kind}.{field}" for kind, field, *_ in VALUES])
def test_what_each_data_type_takes(sg, kind, field, taken, refused):
    row = sg.create(kind, {"name": f"of {field}"} if kind == "Project" else {} if kind == "Step" else {"project": PROJECT})
    for written, read in taken:
        assert sg.update(kind, row["id"], {field: written})[field] == read
        assert look(sg, row, field) == read
    before = look(sg, row, field)
    for wrong in refused:
        with pytest.raises(shotgun_api3.Fault, match=rf"API update\(\) .*{kind}.{field}"):
            sg.update(kind, row["id"], {field: wrong})
        with pytest.raises(shotgun_api3.Fault, match=rf"API create\(\) .*{kind}.{field}"):
            sg.create(kind, {"project": PROJECT, field: wrong} if kind not in ("Project", "Step") else {field: wrong})
    assert look(sg, row, field) == before

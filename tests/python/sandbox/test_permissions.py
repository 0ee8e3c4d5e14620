"""What a permission group lets somebody see and change: what is not seen is not there, what may not be done is refused."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
import shotgun_api3
from conftest import start
from rest import Client

MINE = {"type": "Project", "id": 1}


@pytest.fixture(scope="module")
def studio():
    yield from start("empty")


class Studio:
    """Two projects with the same in them, and somebody of each group who is in the first only."""

    def __init__(self, site) -> None:
        self.site = site
        self.sg = sg = site.connect()
        self.groups = {row["code"]: row for row in sg.find("PermissionRuleSet", [], ["code", "display_name"])}
        self.other = sg.create("Project", {"name": "Secret"})
        self.shots, self.notes, self.tasks = [], [], []
        for project in (MINE, self.other):
            shot = sg.create("Shot", {"code": f"shared name {project['id']}", "project": project})
            note = sg.create("Note", {"subject": "about it", "project": project, "note_links": [shot]})
            sg.create("Reply", {"content": "yes", "entity": note})
            task = sg.create("Task", {"content": "comp", "project": project, "entity": shot, "est_in_mins": 60 * project["id"]})
            sg.update("Task", task["id"], {"est_in_mins": 90})
            self.shots.append(shot)
            self.notes.append(note)
            self.tasks.append(task)
        # A link across the border.
        self.across = sg.create("Version", {"code": "across", "project": MINE, "entity": self.shots[1]})
        for code in ("admin", "manager", "artist", "vendor"):
            person = {"name": f"The {code}", "login": code, "permission_rule_set": self.groups[code], "projects": [MINE]}
            setattr(self, code, self.made("HumanUser", person))
        script = {"firstname": "limited", "salted_password": "k3y-of-limited", "projects": [MINE]}
        custom = {"code": "api_pipeline", "display_name": "API Pipeline", "entity_type": "ApiUser"}
        group = sg.create("PermissionRuleSet", {**custom, "parent_set": self.groups["artist"]})
        self.made("ApiUser", {**script, "generate_event_log_entries": True, "permission_rule_set": group})

    def made(self, kind, data):
        return self.sg.create(kind, data)

    def as_(self, code):
        return shotgun_api3.Shotgun(self.site.url, login=code, password=code)

    def script(self):
        return shotgun_api3.Shotgun(self.site.url, "limited", "k3y-of-limited")


@pytest.fixture(scope="module")
def all_of_it(studio):
    return Studio(studio)


@pytest.fixture(params=["script", "artist", "sudo"])
def limited(request, all_of_it):
    """Somebody who sees one project: a script, a person, a script that acts for a person."""
    if request.param == "script":
        return all_of_it.script()
    if request.param == "sudo":
        return all_of_it.site.connect(sudo_as_login="artist")
    return all_of_it.as_("artist")


def refused(words):
    return pytest.raises(shotgun_api3.Fault, match=words)


def test_groups_are_there_and_who_has_none_may_do_all(all_of_it):
    names = {row["display_name"] for row in all_of_it.groups.values()}
    assert {"Admin", "Manager", "Artist", "Vendor", "Client", "API Admin"} <= names
    assert len(all_of_it.sg.find("Project", [])) == 2


def test_rows_of_other_projects_are_not_there(all_of_it, limited):
    here, there = all_of_it.shots
    assert limited.find("Project", []) == [MINE]
    assert limited.find("Shot", []) == [{"type": "Shot", "id": here["id"]}]
    assert limited.find("Shot", [["project", "is", all_of_it.other]]) == []
    assert limited.find_one("Shot", [["id", "is", there["id"]]]) is None
    assert [row["content"] for row in limited.find("Reply", [], ["content"])] == ["yes"]
    assert limited.find("Reply", [["entity", "is", all_of_it.notes[1]]]) == []
    # As many pages as rows that are seen.
    assert limited.find("Task", [], order=[{"field_name": "id", "direction": "desc"}], limit=1, page=2) == []


def test_links_to_what_is_not_seen_are_nothing(all_of_it, limited):
    found = limited.find_one("Version", [["id", "is", all_of_it.across["id"]]], ["entity", "entity.Shot.code", "code"])
    assert (found["code"], found["entity"], found["entity.Shot.code"]) == ("across", None, None)
    assert limited.find("Version", [["entity", "is", all_of_it.shots[1]]]) == []
    assert limited.find("Version", [["entity.Shot.code", "contains", "shared"]]) == []


def test_counts_searches_and_trees_tell_nothing_of_the_rest(all_of_it, limited):
    count = [{"field": "id", "type": "count"}]
    assert limited.summarize("Shot", [], count)["summaries"] == {"id": 1}
    groups = limited.summarize("Task", [], count, grouping=[{"field": "project", "type": "exact", "direction": "asc"}])["groups"]
    assert [group["group_name"] for group in groups] == ["Sandbox"]
    matches = limited.text_search("shared", {"Shot": []})["matches"]
    assert [match["id"] for match in matches] == [all_of_it.shots[0]["id"]]
    tree = limited.nav_expand("/")
    assert [child["path"] for child in tree["children"]] == ["/Project/1"]
    for path in (f"/Project/{all_of_it.other['id']}", f"/Project/{all_of_it.other['id']}/Shot"):
        with refused("does not exist"):
            limited.nav_expand(path)
    assert limited.nav_search_string("/", "shared name 1") and not limited.nav_search_string("/", "shared name 2")


def test_events_of_what_is_not_seen_are_not_there(all_of_it, limited):
    there = all_of_it.shots[1]
    rows = limited.find("EventLogEntry", [["event_type", "starts_with", "Shotgun_"]], ["project", "entity", "meta"])
    everything = all_of_it.sg.find("EventLogEntry", [["event_type", "starts_with", "Shotgun_"]], ["project"])
    assert rows and len(rows) < len(everything)
    assert {row["project"]["id"] for row in rows if row["project"]} == {1}
    assert not [row for row in rows if (row["meta"] or {}).get("entity_id") == there["id"] and row["meta"]["entity_type"] == "Shot"]
    last = max(row["id"] for row in everything if row["project"] and row["project"]["id"] != 1)
    assert limited.find_one("EventLogEntry", [["id", "is", last]]) is None
    with refused("does not exist"):
        limited.activity_stream_read("Shot", there["id"])
    assert limited.activity_stream_read("Shot", all_of_it.shots[0]["id"])["updates"]
    with refused("does not exist"):
        limited.note_thread_read(all_of_it.notes[1]["id"])
    assert len(limited.note_thread_read(all_of_it.notes[0]["id"])) == 2


def test_nothing_is_done_to_what_is_not_seen(all_of_it, limited):
    there, task = all_of_it.shots[1], all_of_it.tasks[1]
    for deed in (
        lambda: limited.update("Task", task["id"], {"sg_status_list": "ip"}),
        lambda: limited.delete("Shot", there["id"]),
        lambda: limited.revive("Shot", there["id"]),
        lambda: limited.create("Note", {"subject": "x", "project": all_of_it.other}),
        lambda: limited.create("Note", {"subject": "x", "project": MINE, "note_links": [there]}),
        lambda: limited.follow({"type": "HumanUser", "id": 1}, there),
        lambda: limited.followers(there),
        lambda: limited.batch([{"request_type": "delete", "entity_type": "Shot", "entity_id": there["id"]}]),
    ):
        with refused("does not exist"):
            deed()
    assert all_of_it.sg.find_one("Task", [["id", "is", task["id"]]], ["sg_status_list"])["sg_status_list"] == "wtg"


def test_what_a_group_may_not_do_is_refused_in_words(all_of_it, limited):
    shot, task = all_of_it.shots[0], all_of_it.tasks[0]
    group = "(Artist|API Pipeline)"
    for words, deed in (
        (r"^API create\(\) CRUD ERROR #6.1: Entity Shot can not be created by this user. Rule: " + group,
         lambda: limited.create("Shot", {"code": "x", "project": MINE})),
        (rf"^API update\(\) CRUD ERROR #5.1: Entity Shot {shot['id']} can not be updated by this user.",
         lambda: limited.update("Shot", shot["id"], {"code": "x"})),
        (r"^API update\(\) CRUD ERROR #5.2: Field Task.content can not be updated by this user.",
         lambda: limited.update("Task", task["id"], {"sg_status_list": "rdy", "content": "x"})),
        (rf"^API delete\(\) CRUD ERROR #4.1: Entity Shot {shot['id']} can not be deleted by this user. Rule: " + group,
         lambda: limited.delete("Shot", shot["id"])),
        (r"^API schema_field_create\(\) can not be called by this user.",
         lambda: limited.schema_field_create("Shot", "text", "Mood")),
        (r"(?s)^API batch\(\) request with index 1 failed.*Entity Shot can not be created",
         lambda: limited.batch([
             {"request_type": "update", "entity_type": "Task", "entity_id": task["id"], "data": {"sg_status_list": "fin"}},
             {"request_type": "create", "entity_type": "Shot", "data": {"code": "x", "project": MINE}},
         ])),
    ):
        with refused(words):
            deed()
    assert all_of_it.sg.find_one("Task", [["id", "is", task["id"]]], ["sg_status_list"])["sg_status_list"] != "fin"


def test_what_a_group_may_do_is_done(all_of_it, limited):
    task = all_of_it.tasks[0]
    for status in ("ip", "rdy"):
        assert limited.update("Task", task["id"], {"sg_status_list": status})["sg_status_list"] == status
    note = limited.create("Note", {"subject": "mine", "project": MINE, "note_links": [all_of_it.shots[0]]})
    assert limited.update("Note", note["id"], {"subject": "still mine"})["subject"] == "still mine"
    with refused("can not be updated by this user"):
        limited.update("Note", all_of_it.notes[0]["id"], {"subject": "yours"})
    assert limited.delete("Note", note["id"]) is True
    assert limited.revive("Note", note["id"]) is True
    assert limited.delete("Note", note["id"]) is True


def test_uploads_are_writes(all_of_it, limited, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"picture")
    for entity in (all_of_it.shots[0], all_of_it.shots[1]):
        with pytest.raises(shotgun_api3.ShotgunError):
            limited.upload_thumbnail("Shot", entity["id"], str(path))
    with pytest.raises(shotgun_api3.ShotgunError):
        limited.upload("Note", all_of_it.notes[1]["id"], str(path))
    assert limited.upload("Note", all_of_it.notes[0]["id"], str(path))
    assert limited.upload_thumbnail("Task", all_of_it.tasks[0]["id"], str(path))


def test_a_field_that_is_not_seen_has_no_name(all_of_it):
    vendor, artist = all_of_it.as_("vendor"), all_of_it.as_("artist")
    task = [["id", "is", all_of_it.tasks[0]["id"]]]
    assert artist.find_one("Task", task, ["est_in_mins"])["est_in_mins"] == 90
    assert "est_in_mins" not in vendor.find_one("Task", task, ["est_in_mins", "content"])
    for ask in (
        lambda: vendor.find("Task", [["est_in_mins", "is", 90]]),
        lambda: vendor.summarize("Task", [], [{"field": "est_in_mins", "type": "sum"}]),
        lambda: vendor.schema_field_read("Task", "est_in_mins"),
        lambda: vendor.update("Task", all_of_it.tasks[0]["id"], {"est_in_mins": 1}),
    ):
        with refused("Task.est_in_mins doesn't exist"):
            ask()
    assert "est_in_mins" in artist.schema_field_read("Task")
    assert "est_in_mins" not in vendor.schema_field_read("Task")
    assert "TimeLog" in artist.schema_entity_read() and "TimeLog" not in vendor.schema_entity_read()
    with refused("invalid/missing string entity 'type'"):
        vendor.find("TimeLog", [])
    about = [["attribute_name", "is", "est_in_mins"]]
    assert artist.find("EventLogEntry", about) and not vendor.find("EventLogEntry", about)


def test_managers_see_all_and_administrators_do_all(all_of_it):
    manager, admin = all_of_it.as_("manager"), all_of_it.as_("admin")
    for somebody in (manager, admin):
        assert len(somebody.find("Project", [])) == 2
        shot = somebody.create("Shot", {"code": "x", "project": all_of_it.other})
        assert somebody.update("Shot", shot["id"], {"code": "y"})["code"] == "y"
        assert somebody.delete("Shot", shot["id"]) is True
    name = manager.schema_field_create("Shot", "text", "Weather")
    assert admin.schema_field_delete("Shot", name) is True
    with refused("Entity HumanUser can not be created by this user. Rule: Manager may not create HumanUser"):
        manager.create("HumanUser", {"name": "New One", "login": "new.one"})
    made = admin.create("Project", {"name": "Short"})
    with refused(rf"CRUD ERROR #4.1: Entity Project {made['id']} can not be deleted by this user. Rule: Manager"):
        manager.delete("Project", made["id"])
    assert admin.delete("Project", made["id"]) is True


def test_rights_are_those_of_the_moment(all_of_it):
    person = {"name": "In And Out", "login": "inout", "permission_rule_set": all_of_it.groups["artist"]}
    made = all_of_it.sg.create("HumanUser", person)
    sg = all_of_it.as_("inout")
    assert sg.find("Shot", []) == [] and sg.find("Project", []) == []
    all_of_it.sg.update("Project", all_of_it.other["id"], {"users": [made]}, multi_entity_update_modes={"users": "add"})
    assert [shot["id"] for shot in sg.find("Shot", [])] == [all_of_it.shots[1]["id"]]
    all_of_it.sg.update("HumanUser", made["id"], {"projects": []})
    assert sg.find("Shot", []) == []
    all_of_it.sg.update("HumanUser", made["id"], {"permission_rule_set": all_of_it.groups["admin"]})
    assert len(sg.find("Shot", [])) == 2


def test_rest_sees_the_same(all_of_it):
    rest = Client(all_of_it.site, grant_type="client_credentials", client_id="limited", client_secret="k3y-of-limited")
    here, there = all_of_it.shots
    assert [row["id"] for row in rest.get("/entity/shots").data] == [here["id"]]
    assert rest.get(f"/entity/shots/{there['id']}").status == 404
    assert rest.get("/entity/projects").data[0]["id"] == 1
    assert rest.post("/entity/shots", {"code": "x", "project": MINE}).error["code"] == 104
    assert rest.delete(f"/entity/shots/{here['id']}").error["code"] == 104
    assert rest.delete(f"/entity/shots/{there['id']}").status == 404
    assert "Booking" not in rest.get("/schema").data
    assert [rest.get(path).status for path in ("/schema/bookings", "/entity/bookings")] == [404, 404]
    assert rest.get(f"/entity/shots/{there['id']}/image/_upload?filename=a.png").status == 404
    assert rest.post(f"/entity/shots/{there['id']}/followers", {"followers": []}).status in (400, 404)
    events = rest.get("/entity/event_log_entries?fields=project&page[size]=500").data
    assert {(row["relationships"]["project"]["data"] or MINE)["id"] for row in events} == {1}


def test_a_file_of_another_project_is_not_handed_out(all_of_it, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"secret")
    ids = [all_of_it.sg.upload("Note", note["id"], str(path)) for note in all_of_it.notes]
    for somebody, wanted in ((all_of_it.script(), [200, 400]), (all_of_it.sg, [200, 200])):
        cookie = {"Cookie": f"_session_id={somebody.get_session_token()}"}
        found = []
        for attachment in ids:
            request = urllib.request.Request(f"{all_of_it.site.url}/file_serve/attachment/{attachment}", headers=cookie)
            try:
                with urllib.request.urlopen(request) as answer:
                    found.append(answer.status)
            except urllib.error.HTTPError as error:
                found.append(error.code)
        assert found == wanted


def test_nobody_makes_themselves_more_than_they_are(all_of_it):
    admin = all_of_it.groups["admin"]
    for code in ("artist", "vendor", "manager"):
        me = {"type": "HumanUser", "id": getattr(all_of_it, code)["id"]}
        sg = all_of_it.as_(code)
        for field, value in [
            ("permission_rule_set", admin),
            ("permission_rule_set", None),
            ("projects", []),
            ("login", "somebody"),
        ]:
            with refused(r"#5\.2: Field HumanUser\." + field):
                sg.update("HumanUser", me["id"], {field: value})
        assert sg.update("HumanUser", me["id"], {"email": f"{code}@example.com"})["email"] == f"{code}@example.com"
    script = all_of_it.script()
    own = all_of_it.sg.find_one("ApiUser", [["firstname", "is", "limited"]])
    with refused("Field ApiUser.permission_rule_set can not be updated"):
        script.update("ApiUser", own["id"], {"permission_rule_set": all_of_it.groups["api_admin"]})


def test_a_script_that_sees_one_project_does_not_see_more_through_somebody(all_of_it):
    sudo = shotgun_api3.Shotgun(all_of_it.site.url, "limited", "k3y-of-limited", sudo_as_login="admin", connect=False)
    with pytest.raises(shotgun_api3.Fault, match="does not have permission to 'sudo'"):
        sudo.find("Project", [])


def test_webhooks_are_for_managers(all_of_it):
    rest = Client(all_of_it.site, grant_type="client_credentials", client_id="limited", client_secret="k3y-of-limited")
    hook = {"url": "http://127.0.0.1:9/x", "entity_types": {"Shot": {"update": []}}}
    refusal = rest.post("/webhook/hooks", hook)
    assert refusal.status == 400
    assert "can not be called by this user" in str(refusal.error)

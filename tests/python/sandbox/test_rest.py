"""REST v1 of the made-up site, as a client without any library of the vendor sees it."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request

import pytest
from conftest import ROOT
from rest import ARRAY, HASH, Client, send

PROJECT = {"type": "Project", "id": 1}


@pytest.fixture
def rest(site):
    return Client(site)


def ids(answer):
    return [row["id"] for row in answer.data]


# Tokens


def test_a_script_gets_a_token_that_says_who_it_is(site, rest):
    granted = rest.granted.json
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 600)
    assert set(granted) == {"token_type", "expires_in", "access_token", "refresh_token"}
    claims = rest.claims()
    assert (claims["user"], claims["sudo_as_login"]) == ({"type": "ApiUser", "id": 1}, None)
    assert rest.get("/entity/projects").status == 200


@pytest.mark.parametrize(
    ("fields", "status", "code", "words"),
    [
        ({"grant_type": "client_credentials", "client_id": "tests", "client_secret": "no"}, 400, 102, "Can't authenticate script 'tests'"),
        ({"grant_type": "client_credentials", "client_id": "tests"}, 400, 103, "Missing or invalid authentication arguments"),
        ({"grant_type": "password", "username": "ada", "password": "no"}, 400, 102, "Can't authenticate user 'ada'."),
        ({"grant_type": "session_token", "session_token": "nonsense"}, 400, 102, "Can't authenticate session token ending with 'ense'"),
        ({"grant_type": "authorization_code"}, 400, 103, "Unsupported grant_type"),
        ({}, 400, 103, "Unsupported grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "nonsense"}, 401, 102, "Unauthorized"),
    ],
)
def test_a_grant_that_is_refused(rest, fields, status, code, words):
    error = rest.grant(**fields).error
    assert (error["status"], error["code"], error["title"]) == (status, code, words)


def test_a_token_is_asked_for_in_a_form(rest):
    answer = rest.post("/auth/access_token", {"grant_type": "client_credentials"})
    assert (answer.status, answer.error["source"]) == (
        415,
        {"content_type": "Content-Type must be one of: 'application/x-www-form-urlencoded'."},
    )


def test_people_and_sessions_and_refreshed_tokens(site, rest):
    person = Client(site, grant_type="password", username="ada", password="ada")
    assert person.claims()["user"] == {"type": "HumanUser", "id": 1}
    session = site.connect().get_session_token()
    by_session = Client(site, grant_type="session_token", session_token=session)
    assert by_session.claims()["user"]["type"] == "ApiUser"
    refreshed = Client(site, grant_type="refresh_token", refresh_token=person.granted.json["refresh_token"])
    assert refreshed.claims()["user"] == person.claims()["user"]
    assert refreshed.get("/entity/projects").status == 200
    # Neither token is good for what the other one is.
    crossed = rest.grant(grant_type="refresh_token", refresh_token=person.token)
    assert crossed.status == 401
    rest.token = person.granted.json["refresh_token"]
    assert rest.get("/entity/projects").error["status"] == 401


def test_a_second_factor(site):
    site.order("second_factor", login="ada", code="123456")
    refused = Client(site, grant_type="password", username="ada", password="ada").granted
    assert (refused.error["code"], refused.status) == (106, 400)
    let_in = Client(site, grant_type="password", username="ada", password="ada", auth_token="123456")
    assert let_in.get("/entity/projects").status == 200


def test_a_script_acts_for_a_person_by_scope_only(site, rest):
    as_ada = Client(site, scope="sudo_as_login:ada", **rest.script())
    assert as_ada.claims()["sudo_as_login"] == "ada"
    assert as_ada.claims()["user"]["type"] == "ApiUser"
    shot = as_ada.create("shots", code="a")
    events = rest.search("event_log_entries", [["event_type", "is", "Shotgun_Shot_New"]], fields="user,meta")
    (event,) = events.data
    assert event["relationships"]["user"]["data"] == {"type": "HumanUser", "id": 1, "name": "Ada Lind"}
    assert event["attributes"]["meta"]["sudo_actual_user"] == {"type": "ApiUser", "id": 1}
    assert event["attributes"]["meta"]["entity_id"] == shot
    ignored = Client(site, sudo_as_login="ada", **rest.script())
    assert ignored.claims()["sudo_as_login"] is None
    refused = rest.grant(scope="sudo_as_login:nobody", **rest.script()).error
    assert refused["title"] == "Cannot 'sudo' - unknown or retired user: 'nobody'"
    assert (refused["status"], refused["code"]) == (400, 102)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer a.b.c", "Basic YTpi", "Bearer ..", "Bearer é"])
def test_without_a_token_that_is_good_nothing_is_told(site, rest, header):
    answer = send("GET", rest.base + "/entity/projects", None, {"Authorization": header.encode().decode("latin-1")})
    assert (answer.status, answer.error["code"]) == (401, 102)


def test_a_token_that_was_changed_is_refused(rest):
    head, claims, signature = rest.token.split(".")
    other = Client(rest.site, grant_type="password", username="ada", password="ada").token.split(".")[1]
    rest.token = f"{head}.{other}.{signature}"
    assert rest.get("/entity/projects").status == 401


def test_a_token_ends_with_the_key_behind_it(site, rest):
    site.order("revoke_key", script="tests")
    assert rest.get("/entity/projects").status == 401
    site.order("restore_key", script="tests")
    assert rest.get("/entity/projects").status == 200


def test_sign_in_by_browser(site, rest):
    def internal(method, path, **fields):
        body = "&".join(f"{key}={value}" for key, value in fields.items()).encode()
        return send(method, site.url + path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    missing = internal("POST", "/internal_api/app_session_request", appName="tool")
    assert (missing.status, missing.json) == (400, {"message": "Missing params: machineId"})
    asked = internal("POST", "/internal_api/app_session_request", appName="<b>tool", machineId="m").json
    poll = f"/internal_api/app_session_request/{asked['sessionRequestId']}"
    assert internal("PUT", poll).json == {"approved": False}
    page = send("GET", asked["url"], None, {})
    assert b"&lt;b>tool" in page.body
    path = asked["url"].removeprefix(site.url)
    assert internal("POST", path, login="ada", password="wrong").status == 403
    assert internal("PUT", poll).json == {"approved": False}
    assert internal("POST", path, login="ada", password="ada").status == 200
    got = internal("PUT", poll).json
    assert (got["approved"], got["userLogin"]) == (True, "ada")
    assert internal("PUT", poll).json == {"message": "Not Found"}
    person = Client(site, grant_type="session_token", session_token=got["sessionToken"])
    assert person.claims()["user"] == {"type": "HumanUser", "id": 1}


# Records


def test_what_is_made_is_read_changed_retired_and_brought_back(rest):
    made = rest.post("/entity/shots", {"code": "sh010", "project": PROJECT})
    assert made.status == 201
    data = made.data
    shot = data["id"]
    assert data["type"] == "Shot"
    assert data["attributes"]["code"] == "sh010"
    assert data["attributes"]["sg_status_list"] == "wtg"
    assert data["attributes"]["created_at"].endswith(" UTC")
    assert data["relationships"]["project"]["data"] == {**PROJECT, "name": "Sandbox"}
    assert data["relationships"]["tasks"]["data"] == []
    assert data["links"] == {"self": f"/api/v1/entity/shots/{shot}"}

    task = rest.create("tasks", content="comp", entity={"type": "Shot", "id": shot})
    read = rest.get(f"/entity/tasks/{task}", {"fields": "content,entity,entity.Shot.code,nope"})
    assert read.json == {
        "data": {
            "type": "Task",
            "id": task,
            "attributes": {"content": "comp", "entity.Shot.code": "sh010"},
            "relationships": {
                "entity": {
                    "data": {"type": "Shot", "id": shot, "name": "sh010"},
                    "links": {
                        "self": f"/api/v1/entity/tasks/{task}/relationships/entity",
                        "related": f"/api/v1/entity/shots/{shot}",
                    },
                }
            },
            "links": {"self": f"/api/v1/entity/tasks/{task}"},
        },
        "links": {"self": f"/api/v1/entity/tasks/{task}?fields=content%2Centity%2Centity.Shot.code%2Cnope"},
    }
    whole = rest.get(f"/entity/shots/{shot}").data
    assert whole["attributes"]["created_at"].endswith("Z")
    assert "audit_trail" not in whole["attributes"]

    changed = rest.put(f"/entity/shots/{shot}", {"description": "d"})
    assert (changed.status, changed.data["attributes"]["code"]) == (200, "sh010")
    assert len(changed.data["attributes"]) > 20
    assert rest.put(f"/entity/shots/{shot}", {}).status == 200

    gone = rest.delete(f"/entity/shots/{shot}")
    assert (gone.status, gone.body) == (204, b"")
    absent = rest.get(f"/entity/shots/{shot}").error
    assert (absent["status"], absent["code"], absent["title"]) == (404, 104, f"Shot: {shot} not found")
    again = rest.delete(f"/entity/shots/{shot}").error
    assert (again["status"], again["title"]) == (404, f"Entity of type [Shot] with id={shot} does not exist.")
    retired = rest.get(f"/entity/shots/{shot}", {"options[return_only]": "retired", "fields": "code"})
    assert retired.data["attributes"] == {"code": "sh010"}
    assert rest.get(f"/entity/tasks/{task}").data["relationships"]["entity"]["data"] is None

    assert rest.post(f"/entity/shots/{shot}").error["source"] == {"revive": ["revive is missing"]}
    assert rest.post(f"/entity/shots/{shot}?revive=0").error["source"] == {"revive": ["revive must be true"]}
    back = rest.post(f"/entity/shots/{shot}?revive=true", {"code": "ignored"})
    assert back.json == {
        "data": {"type": "Shot", "id": shot},
        "links": {"self": f"/api/v1/entity/shots/{shot}"},
        "meta": {"did_revive": True},
    }
    assert rest.post(f"/entity/shots/{shot}?revive=1").json["meta"] == {"did_revive": False}
    assert rest.get(f"/entity/shots/{shot}").data["attributes"]["code"] == "sh010"


def test_types_are_addressed_in_small_letters_or_as_the_schema_names_them(rest):
    shot = rest.create("Shot", code="a")
    assert rest.get(f"/entity/shots/{shot}").data["links"]["self"] == f"/api/v1/entity/shots/{shot}"
    error = rest.get("/entity/not_a_type").error
    assert (error["status"], error["code"], error["title"]) == (404, 103, "Entity type 'not_a_type' does not exist.")


def test_links_of_lists_are_set_added_and_removed(rest):
    one, two = rest.create("shots", code="a"), rest.create("shots", code="b")
    link = [{"type": "Shot", "id": shot} for shot in (one, two)]
    note = rest.create("notes", subject="s", note_links=link[:1])

    def links():
        found = rest.get(f"/entity/notes/{note}/relationships/note_links")
        assert found.json["links"] == {"self": f"/api/v1/entity/notes/{note}/relationships/note_links"}
        return [row["id"] for row in found.data]

    assert links() == [one]
    for mode, given, wanted in [("add", link[1:], [one, two]), ("remove", link[:1], [two]), ("set", link[:1], [one])]:
        rest.put(f"/entity/notes/{note}", {"note_links": {"multi_entity_update_mode": mode, "value": given}})
        assert links() == wanted
    rest.put(f"/entity/notes/{note}", {"note_links": link[1:]})
    assert links() == [two]


def test_a_relationship_is_one_link_or_a_list_or_refused(rest):
    shot = rest.create("shots", code="a")
    one = rest.get(f"/entity/shots/{shot}/relationships/project")
    assert one.data == {**PROJECT, "name": "Sandbox"}
    plain = rest.get(f"/entity/shots/{shot}/relationships/code").error
    assert (plain["status"], plain["title"]) == (400, "Field 'code' is not a relationship field")
    unknown = rest.get(f"/entity/shots/{shot}/relationships/nope").error
    assert (unknown["status"], unknown["code"], unknown["title"]) == (404, 103, "Field 'Shot.nope' does not exist.")
    assert rest.post(f"/entity/shots/{shot}/relationships/tasks", {}).status == 404


def test_numbers_with_a_fraction_are_text_and_need_one(rest):
    made = rest.post("/entity/shots", {"project": PROJECT, "cut_order": 1.25})
    assert made.data["attributes"]["cut_order"] == "1.25"
    shot = made.data["id"]
    error = rest.put(f"/entity/shots/{shot}", {"cut_order": 2}).error
    assert error["title"].startswith("API update() Shot.cut_order expected [String, Float, NilClass] data type(s) but got Integer")
    assert rest.search("shots", [["cut_order", "is", 1.25]]).data
    assert rest.search("shots", [["cut_order", "is", 1]]).error["code"] == 103
    for sent, told in [("2.5", "2.5"), (1e-9, "0.0"), (2.0, "2.0"), (0.1234567, "0.123457"), (None, None)]:
        assert rest.put(f"/entity/shots/{shot}", {"cut_order": sent}).data["attributes"]["cut_order"] == told


def test_boxes_and_minutes_are_taken_as_text_too(rest):
    task = rest.create("tasks", content="t")
    for sent, told in [(90.9, 90), ("-7.5", -7), (480, 480)]:
        assert rest.put(f"/entity/tasks/{task}", {"est_in_mins": sent}).data["attributes"]["est_in_mins"] == told
    assert rest.put(f"/entity/tasks/{task}", {"est_in_mins": "2:30"}).error["code"] == 103
    assert rest.put(f"/entity/tasks/{task}", {"milestone": "true"}).data["attributes"]["milestone"] is True
    assert rest.search("tasks", [["milestone", "is", "true"]]).data
    assert rest.put(f"/entity/tasks/{task}", {"milestone": 1}).error["code"] == 103


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"code": "x"}, 103, "API create() missing 'project' attribute"),
        ({"project": PROJECT, "nope": 1}, 103, "API create() Shot.nope doesn't exist."),
        ({"project": PROJECT, "code": 7}, 103, "API create() Shot.code expected [String, NilClass]"),
        ({"project": PROJECT, "sg_status_list": "nope"}, 104, "'nope' is not a valid value"),
        ({"project": {"type": "Project"}}, 103, "invalid/missing entity hash"),
        ({"project": PROJECT, "sg_cut_in": 1 << 40}, 104, "PG::NumericValueOutOfRange"),
    ],
)
def test_a_record_that_cannot_be_is_refused_in_the_words_of_the_site(rest, fields, code, words):
    error = rest.post("/entity/shots", fields).error
    assert (error["status"], error["code"]) == (400, code)
    assert words in error["title"]


# Lists and searches


@pytest.fixture
def shots(rest):
    rows = [("a", "wtg", 1), ("b", "ip", 2), ("c", "ip", None), ("d", "fin", 4)]
    return [rest.create("shots", code=code, sg_status_list=status, sg_cut_in=cut) for code, status, cut in rows]


def test_lists_have_pages_without_an_end(rest, shots):
    first = rest.get("/entity/shots", {"fields": "code", "sort": "-code", "page[size]": 3, "page[number]": 1})
    assert [row["attributes"] for row in first.data] == [{"code": code} for code in "dcb"]
    assert set(first.json["links"]) == {"self", "next"}
    second = rest.call("GET", rest.site.url + first.json["links"]["next"])
    assert [row["attributes"]["code"] for row in second.data] == ["a"]
    third = rest.call("GET", rest.site.url + second.json["links"]["next"])
    assert (third.data, set(third.json["links"])) == ([], {"self", "next", "prev"})
    back = rest.call("GET", rest.site.url + third.json["links"]["prev"])
    assert ids(back) == ids(second)
    assert ids(rest.get("/entity/shots", {"sort": "nope"})) == shots
    assert rest.get("/entity/shots").data[0]["attributes"] == {}
    assert rest.get("/entity/shots", {"fields": "*"}).data[0]["attributes"]["code"] == "a"


@pytest.mark.parametrize(
    ("params", "source"),
    [
        ({"page[size]": 0}, {"page": {"size": ["size must be greater than 0"]}}),
        ({"page[size]": 5001}, {"page": {"size": ["size must be less than 5000"]}}),
        ({"page[size]": "x", "page[number]": 0}, {"page": {"size": ["size must be an integer"], "number": ["number must be greater than 0"]}}),
        ({"page": 3}, {"page": ["page must be a hash"]}),
        ({"sort": ""}, {"sort": ["sort must be filled"]}),
        ({"sort": "+id"}, {"sort": ["sort list is not valid"]}),
        ({"options[return_only]": "all"}, {"options": {"return_only": ["return_only must be one of: active, retired"]}}),
        ({"filter": "x"}, {"filter": ["filter must be a hash"]}),
    ],
)
def test_parameters_that_are_wrong_are_named(rest, params, source):
    error = rest.get("/entity/shots", params).error
    assert (error["status"], error["code"], error["title"]) == (400, 103, "Request Parameters invalid.")
    assert error["source"] == source


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"code": "A"}, [0]),
        ({"sg_status_list": "ip"}, [1, 2]),
        ({"sg_status_list": "wtg,fin"}, [0, 3]),
        ({"sg_status_list": "ip", "code": "c"}, [2]),
        ({"sg_cut_in": "2"}, [1]),
        ({"project.Project.id": "1"}, [0, 1, 2, 3]),
        ({"project.Project.name": "Sandbox", "code": "d"}, [3]),
        ({"code": "nope"}, []),
    ],
)
def test_a_list_is_narrowed_by_equality(rest, shots, filters, wanted):
    params = {f"filter[{path}]": value for path, value in filters.items()}
    assert ids(rest.get("/entity/shots", params)) == [shots[index] for index in wanted]


def test_a_filter_of_a_list_by_a_field_that_there_is_not(rest):
    error = rest.get("/entity/shots", {"filter[nope]": 1}).error
    assert (error["status"], error["title"]) == (400, "API read() Shot.nope doesn't exist.")


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ([], [0, 1, 2, 3]),
        ([["code", "in", ["a", "D"]]], [0, 3]),
        ([["sg_cut_in", "between", [2, 4]]], [1, 3]),
        ([["sg_cut_in", "is_not", 2]], [0, 2, 3]),
        ([["created_at", "in_last", [1, "DAY"]], ["code", "is_not", "a"]], [1, 2, 3]),
        ([["project", "is", PROJECT], ["sg_cut_in", "is", None]], [2]),
        ({"logical_operator": "or", "conditions": [["code", "is", "a"], ["code", "is", "b"]]}, [0, 1]),
        (
            {
                "logical_operator": "and",
                "conditions": [
                    ["project", "is", PROJECT],
                    {"logical_operator": "or", "conditions": [["sg_status_list", "is", "fin"], ["sg_cut_in", "less_than", 2]]},
                ],
            },
            [0, 3],
        ),
        ({"logical_operator": "or", "conditions": []}, [0, 1, 2, 3]),
    ],
)
def test_a_search_takes_both_forms_of_filters(rest, shots, filters, wanted):
    found = rest.search("shots", filters, fields=["code"], page={"size": 9}, sort="id")
    assert ids(found) == [shots[index] for index in wanted]


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ([["code", "resembles", "a"]], "Valid relations: "),
        ([["nope", "is", 1]], "API read() Shot.nope doesn't exist."),
        ([["code", "is", "a", "or"]], "Invalid condition: ["),
        ([{"path": "id", "relation": "is", "values": [1]}], "Expected array of basic condition arrays but received"),
        ({"conditions": []}, "Missing logical operator: {"),
        ({"logical_operator": "and"}, "Missing conditions parameter: {"),
        ({"logical_operator": "AND", "conditions": []}, "Invalid logical operator: AND"),
        ({"logical_operator": "or", "conditions": [["code"]]}, "Invalid condition: ["),
    ],
)
def test_a_search_that_makes_no_sense(rest, filters, words):
    error = rest.search("shots", filters).error
    assert (error["status"], error["code"]) == (400, 103)
    assert words in error["title"]


def test_the_form_of_a_filter_is_said_by_the_type_of_the_body(rest):
    for kind in ["application/json", "text/plain", None]:
        answer = rest.post("/entity/shots/_search", {"filters": []}, kind=kind)
        assert answer.status == 415
        assert ARRAY in answer.error["source"]["content_type"]
        assert HASH in answer.error["source"]["content_type"]
    wrong = rest.post("/entity/shots/_search", {"filters": {}}, kind=ARRAY).error
    assert wrong["title"].startswith("Query is not an Array")
    wrong = rest.post("/entity/shots/_search", {"filters": []}, kind=HASH).error
    assert wrong["title"] == "Query is not an Hash"
    # Parameters in the query are read, filters there are not.
    rest.create("shots", code="a")
    found = rest.post("/entity/shots/_search?fields=code&filter[code]=z&page[size]=1", {"filters": []}, kind=f"{ARRAY}; charset=utf-8")
    assert [row["attributes"] for row in found.data] == [{"code": "a"}]


def test_filters_as_deep_as_the_site_looks(rest, shots):
    def nested(depth):
        group = {"logical_operator": "or", "conditions": [["code", "is", "a"]]}
        for _ in range(depth):
            group = {"logical_operator": "and", "conditions": [group]}
        return group

    assert ids(rest.search("shots", nested(265))) == shots[:1]
    error = rest.search("shots", nested(270)).error
    assert (error["status"], error["title"], error["source"]) == (500, "Shotgun Server Error", None)


def test_summaries(rest, shots):
    def summarize(**body):
        return rest.post("/entity/shots/_summarize", {"filters": [["project", "is", PROJECT]], **body}, kind=ARRAY)

    count = [{"field": "id", "type": "count"}]
    assert summarize(summary_fields=count).json == {"data": {"summaries": {"id": 4}, "groups": []}}
    grouped = summarize(summary_fields=count, grouping=[{"field": "sg_status_list", "type": "exact", "direction": "asc"}]).data
    assert {group["group_value"]: group["summaries"]["id"] for group in grouped["groups"]} == {"wtg": 1, "ip": 2, "fin": 1}
    assert summarize(summary_fields=[{"field": "sg_cut_in", "type": "sum"}]).data["summaries"] == {"sg_cut_in": 7}
    assert summarize().error["source"] == {"summary_fields": ["summary_fields is missing"]}
    wrong = summarize(summary_fields=[*count, {"field": "id", "type": "nope"}]).error["source"]
    assert "record_count" in wrong["summary_fields"]["1"]["type"][0]


def test_text_search_tells_names(show):
    rest = Client(show)
    body = {"text": "BUNNY_010", "entity_types": {"Shot": [["sg_sequence", "is_not", None]], "sequences": []}, "page": {"size": 3}}
    found = rest.post("/entity/_text_search", body, kind=ARRAY)
    assert [row["type"] for row in found.data] == ["Sequence", "Shot", "Shot"]
    shot = found.data[1]
    assert shot["attributes"] == {"name": "bunny_010_010", "links": ["Sequence", "bunny_010"], "status": "wtg"}
    assert rest.get(shot["links"]["self"].removeprefix("/api/v1")).data["id"] == shot["id"]
    more = rest.post("/entity/_text_search", {**body, "page": {"size": 3, "number": 2}}, kind=ARRAY)
    assert [row["type"] for row in more.data] == ["Shot", "Shot"]
    assert set(more.json) == {"data"}
    assert rest.post("/entity/_text_search", {**body, "page": {"size": 26}}, kind=ARRAY).error["source"] == {
        "page": {"size": ["size must be less than 25"]}
    }
    error = rest.post("/entity/_text_search", {"text": ""}, kind=ARRAY).error
    assert error["source"] == {"text": ["text must be filled"], "entity_types": ["entity_types is missing"]}


def test_a_batch_is_done_whole_or_not_at_all(rest):
    shot = rest.create("shots", code="old")
    requests = [
        {"request_type": "create", "entity": "Shot", "data": {"project": PROJECT, "code": "new"}},
        {"request_type": "update", "entity": "Shot", "record_id": shot, "data": {"description": "d"}},
        {"request_type": "delete", "entity": "Shot", "record_id": shot},
    ]
    done = rest.post("/entity/_batch", {"requests": requests})
    made, changed, gone = done.data
    assert done.status == 200
    assert made["data"]["attributes"]["code"] == "new"
    assert set(changed) == {"data", "links", "status"}
    assert changed["data"]["attributes"]["description"] == "d"
    assert (gone["did_delete"], gone["id"], gone["type"], gone["request_type"]) == (True, shot, "Shot", "delete")
    before = len(rest.search("event_log_entries", []).data)
    failed = rest.post("/entity/_batch", {"requests": [requests[0], {**requests[1], "record_id": 4711}]}).error
    assert (failed["status"], failed["title"]) == (404, "Entity of type [Shot] with id=4711 does not exist.")
    assert len(rest.search("shots", []).data) == 1
    assert len(rest.search("event_log_entries", []).data) == before


@pytest.mark.parametrize(
    ("body", "source"),
    [
        ({"data": []}, {"requests": ["requests is missing"]}),
        ({"requests": {}}, {"requests": ["requests must be an array"]}),
        ({"requests": [{"request_type": "create"}]}, {"requests": {"0": {"entity": ["entity is missing"]}}}),
        (
            {"requests": [{"request_type": "revive", "entity": "Shot"}]},
            {"requests": {"0": {"request_type": ["request_type must be one of: create, update, delete"]}}},
        ),
        (
            {"requests": [{"request_type": "create", "entity": "Shot"}]},
            {"data": ["data hash containing field/value pairs is required for the given request"]},
        ),
    ],
)
def test_a_batch_that_is_none(rest, body, source):
    assert rest.post("/entity/_batch", body).error["source"] == source


# The log


def test_events_are_followed_by_id(site, rest):
    site.order("bulk", count=7)
    body = {"fields": "event_type,attribute_name,meta,entity,user,project,session_uuid,created_at", "sort": "id", "page": {"size": 3}}
    seen, last = [], 1000
    while rows := rest.search("event_log_entries", [["id", "greater_than", last]], **body).data:
        seen += [row["id"] for row in rows]
        last = seen[-1]
    assert seen == site.truth()
    assert rows == []
    first = rest.get("/entity/event_log_entries/1002").data
    assert first["attributes"]["meta"]["new_value"] == "ip"
    assert set(first["relationships"]) >= {"entity", "project", "user"}
    by_type = rest.get("/entity/event_log_entries", {"filter[event_type]": "Shotgun_Task_New", "fields": "event_type"})
    assert by_type.data
    assert all(row["attributes"]["event_type"] == "Shotgun_Task_New" for row in by_type.data)
    refused = rest.search("event_log_entries", [["meta", "is", "x"]]).error
    assert refused["title"] == "API read() EventLogEntry.meta's 'serializable' data type cannot be used in a filter."


def test_the_log_lags_and_has_holes_for_rest_too(site, rest):
    site.order("bulk", count=3)
    site.order("lag", rows=2, polls=1)
    assert ids(rest.search("event_log_entries", [])) == [1001]
    assert ids(rest.search("event_log_entries", [])) == [1001, 1002, 1003]
    site.order("poison", id=1002)
    assert rest.search("event_log_entries", [], fields="meta").error["status"] == 500
    site.order("clear")
    site.order("fail", kind="no_id", calls=1)
    assert "id" not in rest.search("event_log_entries", [], fields="meta").data[-1]
    site.order("fail", kind="null_row", calls=1)
    assert rest.search("event_log_entries", [], fields="meta").data[-1] is None


# The schema


def test_the_schema_is_read_by_types_and_fields(rest):
    types = rest.get("/schema").data
    assert types["Shot"]["name"] == {"value": "Shot", "editable": False}
    assert rest.get("/schema/shots").data == types["Shot"]
    fields = rest.get("/schema/Shot/fields").data
    code = rest.get("/schema/Shot/fields/code")
    assert code.data == fields["code"]
    assert code.json["links"] == {"self": "/api/v1/schema/Shot/fields/code"}
    assert rest.get("/schema/Nope").error["title"] == "Entity type 'Nope' does not exist."
    assert rest.get("/schema/Shot/fields/nope").error["title"] == "Field 'Shot.nope' does not exist."


def test_fields_are_made_changed_deleted_and_brought_back(rest):
    def properties(**given):
        return [{"property_name": name, "value": value} for name, value in given.items()]

    made = rest.post("/schema/Shot/fields", {"data_type": "text", "properties": properties(name="Frames Left")})
    assert (made.status, made.data["data_type"]["value"]) == (201, "text")
    address = made.json["links"]["self"].removeprefix("/api/v1")
    assert address == "/schema/Shot/fields/sg_frames_left"
    shot = rest.create("shots", sg_frames_left="7")
    assert rest.get(f"/entity/shots/{shot}").data["attributes"]["sg_frames_left"] == "7"
    renamed = rest.put(address, {"properties": properties(description="how many")})
    assert renamed.data["description"]["value"] == "how many"
    assert rest.put(address, {"data_type": "number"}).data["data_type"]["value"] == "text"
    assert rest.delete(address).status == 204
    assert rest.get(address).status == 404
    refused = rest.post("/schema/Shot/fields", {"data_type": "text", "properties": properties(name="Frames Left")}).error
    assert "in the trash" in refused["title"]
    assert rest.post(address, {}).error["source"] == {"revive": ["revive is missing"]}
    assert rest.post(address, {"revive": True}).status == 204
    assert rest.get(f"/entity/shots/{shot}").data["attributes"]["sg_frames_left"] == "7"
    wrong = rest.post("/schema/Shot/fields", {"data_type": "image"}).error["source"]
    assert wrong == {"data_type": ["data_type is not valid"], "properties": ["properties is missing"]}


# People, notes, days


def test_followers(show):
    rest = Client(show)
    shots = [row["id"] for row in rest.get("/entity/shots").data[:2]]
    entities = [{"record_id": shot, "entity": "Shot"} for shot in shots]
    assert rest.post("/entity/human_users/2/follow", {"entities": entities}).status == 204
    followers = rest.get(f"/entity/shots/{shots[0]}/followers").json
    assert followers == {
        "data": [{"id": 2, "type": "HumanUser", "attributes": {"name": "Ben Okafor"}, "links": {"self": "/api/v1/entity/HumanUser/2"}}]
    }
    assert rest.get(followers["data"][0]["links"]["self"].removeprefix("/api/v1")).status == 200
    following = rest.get("/entity/human_users/2/following", {"entity": "shots"}).data
    assert [row["id"] for row in following] == shots
    assert rest.get("/entity/human_users/2/following", {"entity": "Note"}).data == []
    assert rest.put(f"/entity/shots/{shots[0]}/unfollow", {"user_id": 2}).status == 204
    assert rest.get(f"/entity/shots/{shots[0]}/followers").data == []
    assert rest.put(f"/entity/shots/{shots[0]}/unfollow", {}).error["source"] == {"user_id": ["user_id is missing"]}
    assert rest.post("/entity/human_users/2/follow", {}).error["source"] == {"entities": ["entities is missing"]}
    assert rest.post("/entity/human_users/99/follow", {"entities": []}).error["title"] == "Couldn't find HumanUser with id=99"
    assert rest.get("/entity/shots/99/followers").error["status"] == 404


def test_activity_and_threads(show):
    rest = Client(show)
    shot = rest.get("/entity/shots").data[0]["id"]
    rest.put(f"/entity/shots/{shot}", {"sg_status_list": "ip"})
    stream = rest.get(f"/entity/shots/{shot}/activity_stream", {"limit": 1, "entity_fields[Shot]": "code"})
    (update,) = stream.data["updates"]
    assert (update["update_type"], update["primary_entity"]["code"]) == ("update", "bunny_010_010")
    assert stream.json["links"]["self"].endswith("activity_stream?entity_fields%5BShot%5D=code&limit=1")
    assert rest.get(f"/entity/shots/{shot}/activity_stream", {"limit": 501}).error["source"] == {
        "limit": ["limit must be less than or equal to 500"]
    }
    note = rest.create("notes", subject="s", content="c")
    assert rest.post("/entity/replies", {"entity": {"type": "Note", "id": note}, "content": "r"}).status == 201
    thread = rest.get(f"/entity/notes/{note}/thread_contents", {"entity_fields[Note]": "subject"}).data
    assert [(row["type"], row["content"]) for row in thread] == [("Note", "c"), ("Reply", "r")]
    assert thread[0]["subject"] == "s"
    assert rest.get(f"/entity/shots/{shot}/thread_contents").error["title"] == "Field 'Shot.thread_contents' does not exist."
    assert rest.get("/entity/notes/99/thread_contents").error["title"] == "Note: 99 not found"


def test_the_tree(show):
    rest = Client(show)
    project = rest.search("projects", [["name", "is", "Big Buck Bunny"]]).data[0]["id"]
    node = rest.post("/hierarchy/_expand", {"path": f"/Project/{project}"}).data
    assert {child["label"] for child in node["children"]} == {"Assets", "Shots"}
    shot = rest.get("/entity/shots").data[0]["id"]
    criteria = {"entity": {"type": "Shot", "id": shot}}
    (hit,) = rest.post("/hierarchy/_search", {"root_path": f"/Project/{project}", "search_criteria": criteria}).data
    assert hit["ref"] == {"type": "Shot", "id": shot}
    assert hit["incremental_path"][0] == f"/Project/{project}"
    assert rest.post("/hierarchy/_expand", {}, kind=ARRAY).status == 415
    absent = rest.post("/hierarchy/_expand", {"path": "/Project/999"}).error
    assert (absent["code"], absent["title"]) == (107, "Unexpected result looking for project: 999: 0 found.")
    assert rest.post("/hierarchy/_search", {"search_criteria": {"Shot": 1}}).error["source"] == {
        "search_criteria": ["search_criteria size must be 1"]
    }


def test_working_days(rest):
    week = rest.get("/schedule/work_day_rules", {"start_date": "2026-03-06", "end_date": "2026-03-07"})
    assert week.data == [
        {"date": "2026-03-06", "working": True, "description": None, "reason": "STUDIO_WORK_WEEK"},
        {"date": "2026-03-07", "working": False, "description": None, "reason": "STUDIO_WORK_WEEK"},
    ]
    body = {"date": "2026-03-06", "working": False, "description": "off", "project_id": 1}
    told = rest.put("/schedule/work_day_rules", body).data
    assert told["project"] == {**PROJECT, "name": "Sandbox"}
    days = rest.get("/schedule/work_day_rules", {"start_date": "2026-03-06", "end_date": "2026-03-06", "project_id": 1}).data
    assert days[0] == {"date": "2026-03-06", "working": False, "description": "off", "reason": "PROJECT_EXCEPTION"}
    assert rest.get("/schedule/work_day_rules", {"start_date": "2026-03-06", "end_date": "2026-03-06", "project_id": 99}).data[0]["working"]
    assert rest.get("/schedule/work_day_rules").error["source"] == {
        "start_date": ["start_date is missing"],
        "end_date": ["end_date is missing"],
    }
    invalid = rest.get("/schedule/work_day_rules", {"start_date": "03/02/2026", "end_date": "x"})
    assert (invalid.status, invalid.json) == (400, {"status": "error", "error": "invalid date"})
    wrong = rest.put("/schedule/work_day_rules", {"date": "x", "recalculate_field": "x"}).error["source"]
    assert set(wrong) == {"date", "working", "recalculate_field"}


def test_the_site_tells_of_itself(rest):
    root = rest.get("").data
    assert root["api_version"] == "1.0"
    assert root["shotgun_version"].startswith("v8.89.0.9724")
    assert root["user_authentication_method"] == "default"
    assert send("GET", rest.base + "/", None, {}).status == 200
    assert rest.get("/preferences", {"prefs": "hours_per_day,nope"}).data == {"hours_per_day": 8.0}
    licence = rest.get("/license_info").json
    assert (licence["status"], licence["data"]["free"]) == ("success", -1)
    assert rest.get("/subscription_seat/user_subscriptions").json == {"1": "Full"}
    assert rest.post("/subscription_seat/user_subscriptions", {"1": "Basic"}).json == {"1": None}
    assert rest.get("/subscription_seat/user_subscriptions").json == {"1": "Basic"}
    assert rest.post("/subscription_seat/user_subscriptions", {"99": "Basic"}).error["title"] == "Invalid humanUserId 99"
    assert rest.put("/entity/projects/1/_update_last_accessed", {"user_id": 1}).data == PROJECT
    assert rest.put("/entity/projects/99/_update_last_accessed", {"user_id": 1}).error["code"] == 104
    assert rest.put("/preferences/update", {}).error["code"] == 111
    paths = rest.get("/spec.json").json["paths"]
    assert set(paths["/entity/{type}/{id}"]) == {"get", "put", "post", "delete"}
    page = rest.post("/entity/pages", {"name": "p", "entity_type": "HumanUser", "page_type": "all_items"}).data["id"]
    exported = rest.get(f"/exports/page/{page}.csv")
    assert exported.headers["Content-Type"].startswith("text/csv")
    assert b"Ada Lind" in exported.body
    assert rest.get("/exports/page/99.csv").body == b"Trying to perform export for retired Page id=99"


def test_both_versions_are_the_same_and_links_begin_as_they_were_asked(site, rest):
    newer = Client(site, base="/api/v1.1")
    newer.token = rest.token
    shot = rest.create("shots", code="a")
    assert newer.get("").data["api_version"] == "1.1"
    row = newer.get("/entity/shots", {"fields": "project"}).data[0]
    assert row["links"]["self"] == f"/api/v1.1/entity/shots/{shot}"
    assert row["relationships"]["project"]["links"]["related"] == "/api/v1.1/entity/projects/1"
    for other in ["/api", "/api/v2/entity/shots", "/api/v1.2", "/api/v10/entity/shots"]:
        answer = send("GET", site.url + other, None, {})
        assert (answer.status, answer.error["code"], answer.error["detail"]) == (404, 103, None)


def test_a_page_of_another_origin_may_call(site, rest):
    def preflight(**headers):
        sent = {"Origin": "http://tool.example", **{key.replace("_", "-"): value for key, value in headers.items()}}
        answer = send("OPTIONS", rest.base + "/entity/shots", None, sent)
        assert (answer.status, answer.body) == (200, b"")
        return {key.lower(): value for key, value in answer.headers.items() if key.lower().startswith("access-control")}

    told = preflight(Access_Control_Request_Method="POST", Access_Control_Request_Headers="authorization, Content-Type")
    assert told["access-control-allow-origin"] == "http://tool.example"
    assert told["access-control-allow-methods"] == "GET, POST, PUT, PATCH, DELETE"
    assert told["access-control-allow-headers"] == "authorization, Content-Type"
    assert preflight(Access_Control_Request_Method="BREW") == {}
    assert preflight(Access_Control_Request_Method="GET", Access_Control_Request_Headers="x-requested-with") == {}
    for answer in [rest.get("/entity/shots", headers={"Origin": "null"}), rest.get("/nowhere", headers={"Origin": "null"})]:
        assert answer.headers["Access-Control-Allow-Origin"] == "null"
    assert "Access-Control-Allow-Origin" not in rest.get("/entity/shots").headers


# Files


def upload(rest, path, name, content, data=None, **query):
    begun = rest.get(path, {"filename": name, **query}).json
    links, info = begun["links"], begun["data"]
    put = send("PUT", links["upload"], content, {"Content-Type": "application/octet-stream"})
    assert put.status == 200
    done = rest.call("POST", rest.site.url + links["complete_upload"], {"upload_info": info, "upload_data": data or {}})
    assert (done.status, done.body) == (201, b" ")
    return info


def test_a_file_is_uploaded_in_three_steps(rest):
    note = rest.create("notes", subject="s")
    info = upload(rest, f"/entity/notes/{note}/attachments/_upload", "a.txt", b"hello", {"display_name": "shown"})
    assert (info["upload_type"], info["multipart_upload"], info["original_filename"]) == ("Attachment", False, "a.txt")
    (attached,) = rest.get(f"/entity/notes/{note}/relationships/attachments").data
    assert attached["name"] == "shown"
    tag = rest.post("/entity/tags", {"name": "final"}).data["id"]
    upload(rest, f"/entity/notes/{note}/_upload", "b.txt", b"more", {"tags": [{"type": "Tag", "id": tag}]})
    tagged = rest.search("attachments", [["tags", "is", {"type": "Tag", "id": tag}]], fields="filename").data
    assert [row["attributes"]["filename"] for row in tagged] == ["b.txt"]
    version = rest.create("versions", code="v")
    upload(rest, f"/entity/versions/{version}/sg_uploaded_movie/_upload", "a.mov", b"film")
    movie = rest.get(f"/entity/versions/{version}/sg_uploaded_movie")
    assert (movie.data["name"], movie.data["link_type"]) == ("a.mov", "upload")
    assert movie.json["links"]["self"] == f"/api/v1/entity/versions/{version}/sg_uploaded_movie"
    assert urllib.request.urlopen(movie.data["url"]).read() == b"film"
    redirect = rest.get(f"/entity/versions/{version}/sg_uploaded_movie", {"alt": "original"})
    assert redirect.status == 302
    assert urllib.request.urlopen(redirect.headers["Location"]).read() == b"film"
    assert rest.get(f"/entity/versions/{version}/sg_uploaded_movie/_upload").error["source"] == {"filename": ["filename is missing"]}
    assert rest.get(f"/entity/versions/{version}/code").error["title"] == "Field Version.code is not an image or attachment."


def test_a_thumbnail_is_uploaded(rest):
    shot = rest.create("shots", code="a")
    assert rest.get(f"/entity/shots/{shot}/image").data is None
    assert rest.get(f"/entity/shots/{shot}/image", {"alt": "thumbnail"}).error["title"] == "File not found"
    info = upload(rest, f"/entity/shots/{shot}/image/_upload", "a.png", b"\x89PNG\r\n\x1a\n")
    assert info["upload_type"] == "Thumbnail"
    url = rest.get(f"/entity/shots/{shot}/image").data
    assert urllib.request.urlopen(url).read() == b"\x89PNG\r\n\x1a\n"


def test_a_file_is_uploaded_in_parts(rest):
    version = rest.create("versions", code="v")
    path = f"/entity/versions/{version}/sg_uploaded_movie/_upload"
    begun = rest.get(path, {"filename": "a.mov", "multipart_upload": "true"}).json
    links, info = begun["links"], begun["data"]
    assert info["multipart_upload"] is True
    etags = []
    for part in [b"one", b"two"]:
        put = send("PUT", links["upload"], part, {})
        etags.append(put.headers["ETag"])
        links = rest.call("GET", rest.site.url + links["get_next_part"]).json["links"]
    missing = rest.post(path, {"upload_info": info, "upload_data": {}}).error
    assert missing["source"] == {"etags": "missing and required for multipart uploads."}
    wrong = rest.post(path, {"upload_info": {**info, "etags": etags[::-1]}, "upload_data": {}}).error
    assert wrong["title"] == "Error completing multipart upload."
    assert rest.post(path, {"upload_info": {**info, "etags": etags}, "upload_data": {}}).status == 201
    url = rest.get(f"/entity/versions/{version}/sg_uploaded_movie").data["url"]
    assert urllib.request.urlopen(url).read() == b"onetwo"
    other = rest.get(path, {"filename": "b.mov", "multipart_upload": "true"}).json["data"]
    assert rest.post(path + "/multipart_abort", {"upload_info": other}).error["status"] == 400
    assert rest.post(path + "/multipart_abort", other).status == 204
    assert rest.post(path + "/multipart_abort", other).error["title"] == "Failed to abort S3 multipart upload"


# What makes no sense, and trouble


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/entity/shots/1"),
        ("DELETE", "/entity/shots"),
        ("PUT", "/entity/shots"),
        ("POST", "/schema"),
        ("GET", "/entity"),
        ("GET", "/nowhere"),
        ("GET", "/entity/shots/one"),
        ("GET", "/entity/shots/1/a/b/c"),
    ],
)
def test_addresses_and_verbs_that_lead_nowhere(rest, method, path):
    error = rest.call(method, path).error
    assert (error["status"], error["code"], error["title"], error["detail"]) == (404, 103, "Not Found", None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "EOF while parsing"),
        (b'{"code": NaN}', "expected value"),
        (b"[]", "Expected Hash but received Array."),
        (b"3", "Expected Hash but received Integer."),
        (b'{"a": ' + b"[" * 700 + b"]" * 700 + b"}", "levels deep"),
        (b"\xff", "expected value"),
    ],
)
def test_bodies_that_are_none(rest, body, words):
    error = rest.post("/entity/shots", body).error
    assert (error["status"], error["code"]) == (400, 103)
    assert error["title"].startswith("Invalid JSON body. ")
    assert words in error["source"]["body"][0]


def test_a_body_that_is_too_big(rest):
    error = rest.post("/entity/shots", b" " * (65 << 20)).error
    assert (error["status"], error["code"]) == (413, 103)


def test_kinds_that_are_not_taken_or_made(rest):
    assert rest.post("/entity/shots", {"project": PROJECT}, kind="text/plain").status == 415
    assert rest.get("/entity/shots", headers={"Accept": ARRAY}).error["status"] == 406
    assert rest.get("/entity/shots", headers={"Accept": "application/json;q=0.9"}).status == 200


def test_trouble_is_ordered_for_rest_too(site, rest):
    for kind, status, is_told in [("http429", 429, True), ("http500", 500, True), ("fault", 400, True), ("http503", 503, False), ("html", 200, False)]:
        after = {} if kind in ("fault", "html") else {"retry_after": 7}
        site.order("fail", kind=kind, calls=1, method="rest", **after)
        answer = rest.get("/entity/projects")
        assert (answer.status, answer.headers["Content-Type"].startswith("application/json")) == (status, is_told)
        if status in (429, 503):
            assert answer.headers["Retry-After"] == "7"
    site.order("fail", kind="truncated", calls=1, method="GET /api/v1/entity/projects")
    assert rest.get("/entity/shots").json["data"] == []
    with pytest.raises(json.JSONDecodeError):
        _cut = rest.get("/entity/projects").json
    site.order("fail", kind="reset", calls=1)
    with pytest.raises(OSError):
        rest.get("/entity/projects")
    assert rest.get("/entity/projects").status == 200


def test_calls_are_listed_with_their_addresses(site, rest):
    rest.search("shots", [])
    with urllib.request.urlopen(f"{site.url}/_sandbox/asked") as answer:
        asked = [call["method"] for call in json.load(answer)]
    assert asked == ["POST /api/v1/auth/access_token", "POST /api/v1/entity/shots/_search"]


def test_the_example_of_the_manual_runs(site):
    manual = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8").split("\n## REST\n")[1]
    example = manual.split("```sh\n")[1].split("```")[0]
    site.order("bulk", count=3)
    known = {"url": site.url, "script": site.script, "key": site.key}
    told = subprocess.run(["sh", "-ec", example], env={**os.environ, **known}, capture_output=True, check=True, timeout=60)
    assert [row["id"] for row in json.loads(told.stdout)["data"]] == [1001, 1002]


def test_rest_and_the_official_client_see_the_same_site(site, sg, rest):
    made = sg.create("Shot", {"code": "both", "project": PROJECT})
    assert rest.search("shots", [["code", "is", "both"]]).data[0]["id"] == made["id"]
    rest.put(f"/entity/shots/{made['id']}", {"description": "by rest"})
    assert sg.find_one("Shot", [["id", "is", made["id"]]], ["description"])["description"] == "by rest"
    changes = sg.find("EventLogEntry", [["event_type", "is", "Shotgun_Shot_Change"], ["attribute_name", "is", "description"]], ["user"])
    assert [row["user"]["type"] for row in changes] == ["ApiUser"]

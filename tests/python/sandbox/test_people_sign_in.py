"""People sign in with passwords, scripts with keys, both with sessions; who may not is refused in the site's words."""

from __future__ import annotations

import datetime

import pytest
import shotgun_api3
from conftest import start

PROJECT = {"type": "Project", "id": 1}


@pytest.fixture(scope="module")
def site():
    yield from start("empty")


def person(site, login, password):
    return shotgun_api3.Shotgun(site.url, login=login, password=password)


def test_somebody_who_never_got_a_password_has_the_login_for_it(site, sg):
    ada = person(site, "ada", "ada")
    made = ada.create("Shot", {"code": "by ada", "project": PROJECT}, ["created_by"])
    assert made["created_by"] == {"type": "HumanUser", "id": 1, "name": "Ada Lind"}
    row = sg.find_one("EventLogEntry", [["entity", "is", made]], ["user", "meta"])
    assert row["user"]["name"] == "Ada Lind"
    assert "sudo_actual_user" not in row["meta"]
    for password in ("wrong", "Ada", ""):
        with pytest.raises(shotgun_api3.AuthenticationFault, match="Can't authenticate user 'ada'."):
            person(site, "ada", password or " ").find("Shot", [])
    with pytest.raises(shotgun_api3.AuthenticationFault, match="Can't authenticate user 'nobody'."):
        person(site, "nobody", "nobody").find("Shot", [])


def test_a_password_that_is_set_is_the_only_one_and_is_shown_nowhere(site, sg):
    made = sg.create("HumanUser", {"name": "Grace Hopper", "login": "grace", "password_proxy": "s3cret-1906"})
    assert person(site, "grace", "s3cret-1906").find_one("Project", [])["id"] == 1
    with pytest.raises(shotgun_api3.AuthenticationFault):
        person(site, "grace", "grace").find("Shot", [])
    sg.update("HumanUser", made["id"], {"password_proxy": "an0ther-1992"})
    assert person(site, "grace", "an0ther-1992").find_one("Project", [])
    with pytest.raises(shotgun_api3.AuthenticationFault):
        person(site, "grace", "s3cret-1906").find("Shot", [])
    rows = sg.find("EventLogEntry", [["entity", "is", made]], ["event_type", "meta", "description"])
    assert "Shotgun_User_PasswordChange" in [row["event_type"] for row in rows]
    assert not any(word in str(rows) for word in ("s3cret", "an0ther"))
    assert set(sg.find_one("HumanUser", [["id", "is", made["id"]]], ["password_proxy"])["password_proxy"]) == {"*"}
    # A password of a batch that failed was never set.
    change = {"request_type": "update", "entity_type": "HumanUser", "entity_id": made["id"], "data": {"password_proxy": "third"}}
    with pytest.raises(shotgun_api3.Fault):
        sg.batch([change, {"request_type": "delete", "entity_type": "Shot", "entity_id": 999}])
    assert person(site, "grace", "an0ther-1992").find_one("Project", [])


def test_a_login_is_looked_at_for_others(sg):
    found = sg.authenticate_human_user("ada", "ada")
    assert (found["type"], found["id"], found["login"]) == ("HumanUser", 1, "ada")
    with pytest.raises(shotgun_api3.AuthenticationFault):
        sg.authenticate_human_user("ada", "wrong")
    # It was only for that call.
    assert sg.create("Shot", {"code": "x", "project": PROJECT}, ["created_by"])["created_by"]["type"] == "ApiUser"


def test_a_session_is_somebodys_and_signing_in_is_in_the_log(site, sg):
    token = person(site, "ada", "ada").get_session_token()
    assert token == person(site, "ada", "ada").get_session_token()
    assert token != sg.get_session_token()
    session = shotgun_api3.Shotgun(site.url, session_token=token)
    assert session.create("Shot", {"code": "x", "project": PROJECT}, ["created_by"])["created_by"]["name"] == "Ada Lind"
    rows = sg.find("EventLogEntry", [["event_type", "is", "Shotgun_User_Login"]], ["entity", "user", "meta", "project"])
    assert rows[-1]["entity"] == rows[-1]["user"] == {"type": "HumanUser", "id": 1, "name": "Ada Lind"}
    assert rows[-1]["meta"] is None
    with pytest.raises(shotgun_api3.AuthenticationFault):
        shotgun_api3.Shotgun(site.url, session_token="0" * 32).find("Shot", [])


def test_a_person_cannot_act_for_another(site):
    sg = shotgun_api3.Shotgun(site.url, login="ada", password="ada", sudo_as_login="ada")
    with pytest.raises(shotgun_api3.Fault, match="^The user does not have permission to 'sudo':"):
        sg.find_one("Shot", [])


def test_who_is_disabled_or_locked_does_not_come_in(site, sg):
    made = sg.create("HumanUser", {"name": "Alan Turing", "login": "alan"})
    alan = person(site, "alan", "alan")
    session = shotgun_api3.Shotgun(site.url, session_token=alan.get_session_token())
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    for shut, opened in [
        ({"sg_status_list": "dis"}, {"sg_status_list": "act"}),
        ({"login_enabled": False}, {"login_enabled": True}),
        ({"locked_until": tomorrow}, {"locked_until": None}),
    ]:
        sg.update("HumanUser", made["id"], shut)
        for connection in (alan, session):
            with pytest.raises(shotgun_api3.AuthenticationFault):
                connection.find_one("Project", [])
        sg.update("HumanUser", made["id"], opened)
        assert alan.find_one("Project", []) == session.find_one("Project", [])
    sg.update("HumanUser", made["id"], {"sg_status_list": "dis"})
    with pytest.raises(shotgun_api3.AuthenticationFault, match="Cannot 'sudo' - inactive user account: 'alan'"):
        site.connect(sudo_as_login="alan").find("Shot", [])
    sg.update("HumanUser", made["id"], {"sg_status_list": "act", "can_impersonate_this_user": False})
    with pytest.raises(shotgun_api3.AuthenticationFault, match="'can_impersonate_this_user' turned off: 'alan'"):
        site.connect(sudo_as_login="alan").find("Shot", [])
    sg.delete("HumanUser", made["id"])
    with pytest.raises(shotgun_api3.AuthenticationFault):
        alan.find_one("Project", [])


def test_a_script_that_is_made_has_its_key_and_no_events_until_it_shall(site, sg):
    made = sg.create("ApiUser", {"firstname": "renderer", "lastname": "1.0", "salted_password": "k3y-of-renderer"})
    script = shotgun_api3.Shotgun(site.url, "renderer", "k3y-of-renderer")
    before = site.truth()
    shot = script.create("Shot", {"code": "quiet", "project": PROJECT}, ["created_by"])
    assert (shot["created_by"]["name"], site.truth()) == ("renderer 1.0", before)
    sg.update("ApiUser", made["id"], {"generate_event_log_entries": True})
    before = site.truth()
    script.update("Shot", shot["id"], {"code": "told"})
    assert len(site.truth()) == len(before) + 1
    for name, key in [("renderer", "x"), ("RENDERER", "k3y-of-renderer"), ("tests", "k3y-of-renderer")]:
        with pytest.raises(shotgun_api3.AuthenticationFault, match=f"Can't authenticate script '{name}'"):
            shotgun_api3.Shotgun(site.url, name, key).find("Shot", [])
    sg.update("ApiUser", made["id"], {"sg_status_list": "dis"})
    with pytest.raises(shotgun_api3.AuthenticationFault):
        script.find("Shot", [])

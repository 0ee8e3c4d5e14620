"""A code beside the password, scripts in the trash, sudo: who is let in for whom."""

from __future__ import annotations

import pathlib

import pytest
import shotgun_api3
from conftest import Site

PROJECT = {"type": "Project", "id": 1}


def test_a_second_factor_is_asked_for_and_believed(site: Site) -> None:
    site.order("second_factor", login="ada", code="123456")
    for token in (None, "654321"):
        with pytest.raises(shotgun_api3.MissingTwoFactorAuthenticationFault, match="Two factor"):
            shotgun_api3.Shotgun(site.url, login="ada", password="ada", auth_token=token).find_one("Project", [])
    with pytest.raises(shotgun_api3.AuthenticationFault):
        shotgun_api3.Shotgun(site.url, login="ada", password="wrong", auth_token="123456").find_one("Project", [])
    ada = shotgun_api3.Shotgun(site.url, login="ada", password="ada", auth_token="123456")
    token = ada.get_session_token()
    assert shotgun_api3.Shotgun(site.url, session_token=token).find_one("Project", [])["id"] == 1
    site.order("second_factor", login="ada")
    assert shotgun_api3.Shotgun(site.url, login="ada", password="ada").find_one("Project", [])


def test_a_script_in_the_trash_is_refused(site: Site, sg: shotgun_api3.Shotgun) -> None:
    me = sg.find_one("ApiUser", [["firstname", "is", site.script]])
    other = site.connect()
    assert other.find_one("Project", [])
    sg.delete("ApiUser", me["id"])
    with pytest.raises(shotgun_api3.AuthenticationFault, match="Can't authenticate script"):
        other.find_one("Project", [])


def test_an_upload_is_of_the_one_for_whom_a_script_acts(site: Site, tmp_path: pathlib.Path) -> None:
    ada = site.connect(sudo_as_login="ada")
    version = ada.create("Version", {"code": "v", "project": PROJECT})
    path = tmp_path / "a.txt"
    path.write_text("x")
    number = ada.upload("Version", version["id"], str(path))
    row = ada.find_one("Attachment", [["id", "is", number]], ["created_by"])
    assert row["created_by"]["name"] == "Ada Lind"
    events = ada.find("EventLogEntry", [["event_type", "is", "Shotgun_Attachment_New"]], ["meta"])
    assert [event["meta"]["sudo_actual_user"]["type"] for event in events] == ["ApiUser"]

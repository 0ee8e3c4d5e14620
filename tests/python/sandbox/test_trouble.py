"""The made-up site misbehaves when told to, and only then."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client

import pytest
import shotgun_api3

LOG = "EventLogEntry"


@pytest.mark.parametrize(("kind", "status"), [("http500", 500), ("http503", 503), ("http429", 429)])
def test_a_status_for_one_call(site, sg, kind, status):
    site.order("fail", kind=kind, calls=1, retry_after=7)
    with pytest.raises(xmlrpc.client.ProtocolError) as caught:
        sg.find(LOG, [])
    assert caught.value.errcode == status
    assert sg.find(LOG, []) == []


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("html", AttributeError),
        ("truncated", ValueError),
        ("fault", shotgun_api3.Fault),
        ("reset", (ConnectionError, http.client.HTTPException)),
    ],
)
def test_an_answer_that_is_none(site, sg, kind, error):
    site.order("fail", kind=kind, method="read")
    with pytest.raises(error):
        sg.find_one("Project", [])
    site.order("clear")
    assert sg.find_one("Project", [])["id"] == 1


def test_no_answer_until_cleared(site):
    sg = site.connect(connect=False)
    sg.config.timeout_secs = 0.2
    site.order("fail", kind="hang", calls=1)
    with pytest.raises(socket.timeout):
        sg.info()
    assert sg.info()["version"]


def test_pages_without_rows_and_rows_that_are_wrong(site, sg):
    site.order("bulk", count=3)
    fields = ["meta", "entity"]
    site.order("fail", kind="empty_page", calls=1)
    assert sg.find(LOG, [], fields, limit=3) == []
    site.order("fail", kind="no_id", calls=1)
    assert "id" not in sg.find(LOG, [], fields, limit=3)[-1]
    site.order("fail", kind="huge_row", calls=1, id=1002)
    assert len(sg.find(LOG, [], fields, limit=3)[1]["meta"]["new_value"]) == 5 << 20
    site.order("fail", kind="odd_row", calls=1)
    assert "\u2028" in sg.find(LOG, [], fields, limit=3)[-1]["meta"]["new_value"]
    assert [row["id"] for row in sg.find(LOG, [], fields)] == [1001, 1002, 1003]


def test_one_row_fails_its_page(site, sg):
    site.order("bulk", count=3)
    site.order("poison", id=1002)
    with pytest.raises(xmlrpc.client.ProtocolError):
        sg.find(LOG, [], ["meta"])
    assert len(sg.find(LOG, [], ["id"])) == 3
    assert sg.find_one(LOG, [["id", "is", 1003]], ["meta"])


def test_one_row_fails_its_page_when_a_field_is_asked_for(site, sg):
    site.order("bulk", count=3)
    assert site.order("poison", id=1002, field="meta")["troubles"] == 1
    with pytest.raises(xmlrpc.client.ProtocolError):
        sg.find(LOG, [], ["meta"])
    assert len(sg.find(LOG, [], ["event_type"])) == 3


def test_holes_lag_and_a_restore(site, sg):
    site.order("bulk", count=3)
    site.order("jump", by=10)
    site.order("bulk", count=1)
    assert site.truth() == [1001, 1002, 1003, 1014]
    site.order("lag", rows=2, polls=1)
    assert [row["id"] for row in sg.find(LOG, [], limit=9)] == [1001, 1002]
    assert len(sg.find(LOG, [], limit=9)) == 4
    site.order("restore", to=1002)
    site.order("bulk", count=1)
    assert site.truth() == [1001, 1002, 1003]


def test_rows_that_come_late_or_never(show):
    before = show.truth()
    late = show.order("work", times=1, late_ms=3_600_000)
    gone = show.order("abandon", times=1)
    assert (show.truth(), late["waiting"] > 0) == (before, True)
    assert gone["next_id"] > late["next_id"]
    show.order("work", times=1)
    now = show.truth()
    assert now[: len(before)] == before
    assert now[len(before)] >= gone["next_id"]


def test_a_key_is_taken_away_and_given_back(site, sg):
    site.order("revoke_key", script="tests")
    with pytest.raises(shotgun_api3.AuthenticationFault):
        sg.find_one("Project", [])
    site.order("restore_key", script="tests")
    assert sg.find_one("Project", [])

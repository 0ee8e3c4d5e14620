"""Webhooks of the made-up site: a receiver that checks every signature itself."""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from rest import ARRAY, Client

PROJECT = {"type": "Project", "id": 1}
TOKEN = "a secret of the receiver"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


class Receiver:
    """A server on this machine that keeps what comes and answers what it is told to."""

    def __init__(self) -> None:
        self.came: queue.Queue = queue.Queue()
        self.status = 200
        self.answer = b'{"received": true}'
        self.go_on = threading.Event()
        self.go_on.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.came.put((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
                receiver.go_on.wait(20)
                self.send_response(receiver.status)
                self.send_header("X-From", "receiver")
                self.send_header("Content-Length", str(len(receiver.answer)))
                self.end_headers()
                self.wfile.write(receiver.answer)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def next(self):
        """The next request: headers, the parsed body."""
        _, headers, body = self.came.get(timeout=20)
        if "x-sg-signature" in headers:
            wanted = "sha1=" + hmac.new(TOKEN.encode(), body, hashlib.sha1).hexdigest()
            assert hmac.compare_digest(headers["x-sg-signature"], wanted)
        return headers, json.loads(body)

    def close(self) -> None:
        self.go_on.set()
        self.server.shutdown()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def rest(site):
    return Client(site)


def subscribe(rest, receiver, **fields):
    body = {"url": receiver.url, "token": TOKEN, "entity_types": {"Shot": {"create": [], "update": ["description"], "delete": [], "revive": []}}}
    if "event_type" in fields:
        del body["entity_types"]
    made = rest.post("/webhook/hooks", {**body, **fields})
    assert made.status == 201, made.body
    return made.data["id"]


def settled(rest, hook):
    """The records of a hook, once nothing waits any more."""
    while True:
        records = rest.get(f"/webhook/hooks/{hook}/deliveries").data
        if all(record["status"] != "pending" for record in records):
            return records


def test_a_change_is_told_as_the_site_tells_it(site, rest, receiver):
    hook = subscribe(rest, receiver, projects=[1])
    shot = rest.create("shots", code="a", description="first")
    headers, body = receiver.next()
    assert headers["accept"] == "application/json"
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["x-sg-webhook-id"] == hook
    assert headers["x-sg-webhook-site-url"] == site.url + "/"
    assert (headers["x-sg-event-batch-size"], headers["x-sg-event-batch-index"]) == ("1", "0")
    assert re.fullmatch(r"\d{50,}", headers["x-sg-event-batch-id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["timestamp"])
    data = body["data"]
    assert data["delivery_id"] == headers["x-sg-delivery-id"]
    assert re.fullmatch(UUID, data["delivery_id"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", data["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", data["created_at"])
    assert (data["event_type"], data["operation"]) == ("Shotgun_Shot_New", "create")
    assert (data["entity"], data["project"]) == ({"type": "Shot", "id": shot}, PROJECT)
    assert data["user"] == {"type": "ApiUser", "id": 1}
    entry = rest.get(f"/entity/event_log_entries/{data['event_log_entry_id']}").data
    assert entry["attributes"]["meta"] == data["meta"]
    # The fields of the create are not told one by one; the next thing is the change.
    rest.put(f"/entity/shots/{shot}", {"code": "b"})
    rest.put(f"/entity/shots/{shot}", {"description": "second"})
    _, body = receiver.next()
    change = body["data"]
    assert (change["operation"], change["attribute_name"]) == ("update", "description")
    assert (change["meta"]["old_value"], change["meta"]["new_value"]) == ("first", "second")
    rest.delete(f"/entity/shots/{shot}")
    rest.post(f"/entity/shots/{shot}?revive=1")
    gone, back = receiver.next()[1]["data"], receiver.next()[1]["data"]
    assert [one["operation"] for one in (gone, back)] == ["delete", "revive"]
    assert gone["entity"] == {"type": "Shot", "id": shot}
    assert receiver.came.empty()


def test_without_a_token_nothing_is_signed(rest, receiver):
    subscribe(rest, receiver, token=None)
    rest.create("shots", code="a")
    headers, _ = receiver.next()
    assert "x-sg-signature" not in headers


def test_only_what_is_wanted_is_told(rest, receiver):
    other = rest.post("/entity/projects", {"name": "Other"}).data["id"]
    subscribe(rest, receiver, projects=[other], entity_types={"Task": {"update": []}})
    task = rest.create("tasks", content="t")
    rest.put(f"/entity/tasks/{task}", {"content": "u"})
    there = rest.post("/entity/tasks", {"content": "v", "project": {"type": "Project", "id": other}}).data["id"]
    rest.put(f"/entity/tasks/{there}", {"content": "w"})
    _, body = receiver.next()
    assert (body["data"]["entity"]["id"], body["data"]["meta"]["new_value"]) == (there, "w")
    assert receiver.came.empty()


def test_an_event_by_name(site, rest, receiver):
    subscribe(rest, receiver, event_type="Shotgun_User_Login")
    Client(site, grant_type="password", username="ada", password="ada")
    _, body = receiver.next()
    assert body["data"]["event_type"] == "Shotgun_User_Login"
    assert body["data"]["user"] == {"type": "HumanUser", "id": 1}


def test_events_come_together_when_that_is_wanted(rest, receiver):
    subscribe(rest, receiver, batch_deliveries=True)
    receiver.go_on.clear()
    first = rest.create("shots", code="first")
    _, alone = receiver.next()
    assert [one["entity"]["id"] for one in alone["data"]["deliveries"]] == [first]
    requests = [{"request_type": "create", "entity": "Shot", "data": {"project": PROJECT, "code": str(n)}} for n in range(60)]
    made = [row["data"]["id"] for row in rest.post("/entity/_batch", {"requests": requests}).data]
    receiver.go_on.set()
    came = [receiver.next() for _ in range(2)]
    assert [headers["x-sg-event-batch-size"] for headers, _ in came] == ["50", "10"]
    told = [one for _, body in came for one in body["data"]["deliveries"]]
    assert [one["entity"]["id"] for one in told] == made
    assert len({one["delivery_id"] for one in told}) == 60
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", came[0][1]["timestamp"])


def test_a_delivery_is_remembered_acknowledged_and_sent_again(rest, receiver):
    hook = subscribe(rest, receiver)
    receiver.answer = b"x" * 300
    shot = rest.create("shots", code="a")
    headers, body = receiver.next()
    (record,) = settled(rest, hook)
    assert set(record) == {
        "id", "event_time", "status", "process_time", "body", "response_code", "acknowledgement",
        "request_headers", "response_headers", "request_body",
    }
    assert record["id"] == headers["x-sg-delivery-id"]
    assert (record["status"], record["response_code"], record["body"]) == ("delivered", 200, "x" * 100)
    assert record["request_body"] == body
    assert record["request_headers"]["x-sg-signature"] == headers["x-sg-signature"]
    assert record["response_headers"]["x-from"] == "receiver"
    address = f"/webhook/deliveries/{record['id']}"
    assert rest.get(address).data == record
    assert rest.put(address, {"acknowledgement": "done é"}).data["acknowledgement"] == "done é"
    assert rest.put(address, {}).status == 200
    too_long = rest.put(address, {"acknowledgement": "é" * 2049}).error["source"]
    assert too_long == {"acknowledgement": ["acknowledgement size cannot be greater than 4096 bytes"]}

    def found(**params):
        return len(rest.get(f"/webhook/hooks/{hook}/deliveries", params).data)

    assert found(acknowledgement="done") == 1
    assert found(acknowledgement="other") == found(status="failed") == found(entity_type="Task") == 0
    assert found(status="delivered", entity_type="Shot", entity_id=shot) == 1
    assert found(**{"from": record["event_time"] + 86400}) == 0
    assert rest.post(address + "/redeliver").status == 204
    again, body_again = receiver.next()
    assert again["x-sg-delivery-id"] == record["id"]
    assert body_again["data"] == body["data"]
    settled(rest, hook)
    whole = rest.get(f"/webhook/hooks/{hook}/deliveries").json
    assert (whole["included"], whole["performance_metrics"]["event_count"]) == ([], 1)
    assert rest.get(f"/webhook/hooks/{hook}").data["num_deliveries"] == 2


def test_a_receiver_that_fails_is_left_alone_until_somebody_says_otherwise(site, rest, receiver):
    site.order("webhooks", failures=3)
    hook = subscribe(rest, receiver)
    receiver.status = 500

    def status():
        settled(rest, hook)
        return rest.get(f"/webhook/hooks/{hook}").data["status"]

    assert status() == "active"
    for number, wanted in [(1, "unstable"), (2, "unstable"), (3, "failed")]:
        rest.create("shots", code=str(number))
        receiver.next()
        assert status() == wanted
    rest.create("shots", code="nobody hears of it")
    assert [record["status"] for record in settled(rest, hook)] == ["failed"] * 3
    assert [row["id"] for row in rest.get("/webhook/hooks", {"status": "failed"}).data] == [hook]
    receiver.status = 302
    rest.put(f"/webhook/hooks/{hook}", {"status": "active"})
    _, body = receiver.next()
    assert body["data"]["event_type"] == "Webhook_Status_Change"
    assert (body["data"]["previous_webhook_status"], body["data"]["webhook_status"]) == ("failed", "active")
    rest.create("shots", code="heard of")
    receiver.next()
    assert status() == "active"
    assert receiver.came.empty()


def test_a_receiver_that_takes_too_long(site, rest, receiver):
    site.order("webhooks", timeout_ms=50)
    hook = subscribe(rest, receiver)
    receiver.go_on.clear()
    rest.create("shots", code="a")
    (record,) = settled(rest, hook)
    assert (record["status"], record["response_code"], record["body"]) == ("failed", 0, "")
    assert record["response_headers"] is None
    assert record["process_time"] >= 0.05


def test_nobody_is_sent_more_than_a_minute_of_answers_takes(site, rest, receiver):
    site.order("webhooks", budget_ms=0)
    hook = subscribe(rest, receiver)
    rest.create("shots", code="a")
    receiver.next()
    rest.create("shots", code="b")
    while sorted(record["status"] for record in rest.get(f"/webhook/hooks/{hook}/deliveries").data) != ["delivered", "pending"]:
        pass
    site.order("webhooks", budget_ms=60000)
    receiver.next()
    assert [record["status"] for record in settled(rest, hook)] == ["delivered"] * 2


def test_a_receiver_that_is_not_there(rest, receiver):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    hook = subscribe(rest, receiver, url=url)
    rest.create("shots", code="a")
    (record,) = settled(rest, hook)
    assert (record["status"], record["response_code"]) == ("failed", 0)


def test_a_site_whose_events_reach_nobody(site, rest, receiver):
    hook = subscribe(rest, receiver)
    site.order("webhooks", events=False)
    rest.create("shots", code="nobody hears of it")
    rest.post(f"/webhook/hooks/{hook}/test_connection")
    assert receiver.next()[1]["data"]["event_log_entry_id"] == 0
    assert rest.get(f"/webhook/hooks/{hook}").data["status"] == "active"
    site.order("clear")
    shot = rest.create("shots", code="heard of")
    assert receiver.next()[1]["data"]["entity"]["id"] == shot


def test_a_slow_receiver_holds_nobody_up(rest, receiver):
    other = Receiver()
    receiver.go_on.clear()
    slow, quick = subscribe(rest, receiver), subscribe(rest, other)
    for number in range(3):
        rest.create("shots", code=str(number))
    assert [other.next()[1]["data"]["operation"] for _ in range(3)] == ["create"] * 3
    assert [record["status"] for record in rest.get(f"/webhook/hooks/{slow}/deliveries").data] == ["pending"] * 3
    assert len(settled(rest, quick)) == 3
    receiver.go_on.set()
    assert len(settled(rest, slow)) == 3
    other.close()


def test_what_becomes_readable_late_is_told_then(site, receiver):
    rest = Client(site)
    subscribe(rest, receiver, entity_types={"Version": {"update": ["image"]}})
    site.order("processing", ms=300)
    version = rest.create("versions", code="v")
    path = f"/entity/versions/{version}/image/_upload"
    begun = rest.get(path, {"filename": "a.png"}).json
    rest.call("PUT", begun["links"]["upload"], b"\x89PNG\r\n\x1a\n", kind="image/png")
    rest.post(path, {"upload_info": begun["data"], "upload_data": {}})
    first, second = receiver.next()[1]["data"], receiver.next()[1]["data"]
    assert (first["meta"]["is_transient"], second["meta"]["is_transient"]) == (True, False)


def test_a_value_of_more_than_a_megabyte_is_left_out(rest, receiver):
    subscribe(rest, receiver)
    shot = rest.create("shots", code="a")
    receiver.next()
    rest.put(f"/entity/shots/{shot}", {"description": "x" * (1 << 20)})
    data = receiver.next()[1]["data"]
    assert "new_value" not in data["meta"]
    assert "1 MB" in data["warning"]


def test_a_hook_is_read_changed_tried_and_taken_away(rest, receiver):
    hook = subscribe(rest, receiver, name="n", description="d", validate_ssl_cert=False)
    address = f"/webhook/hooks/{hook}"
    read = rest.get(address)
    assert read.data == {
        "id": hook, "url": receiver.url, "status": "active", "projects": None, "name": "n", "description": "d",
        "num_deliveries": 0, "validate_ssl_cert": False, "batch_deliveries": False, "is_token_set": True,
        "entity_types": {"Shot": {"create": [], "update": ["description"], "delete": [], "revive": []}},
    }
    assert read.json["links"] == {"self": f"/api/v1{address}"}
    assert TOKEN not in json.dumps(rest.get("/webhook/hooks").json)
    changed = rest.put(address, {"description": "e"}).data
    assert changed == {**read.data, "description": "e"}
    assert rest.put(address, {}).error["source"] == {"ensure_field_present": ["at least one field must be provided"]}
    assert rest.put(address, {"status": "x"}).error["source"] == {"status": ["status must be one of: active, disabled"]}
    assert rest.post(address + "/test_connection").status == 204
    assert receiver.next()[1]["data"]["event_log_entry_id"] == 0
    rest.put(address, {"status": "disabled"})
    told = receiver.next()[1]["data"]
    assert (told["id"], told["webhook_status"], told["meta"]["type"]) == ("0", "disabled", "webhook_status_change")
    rest.create("shots", code="nobody hears of it")
    assert rest.delete(address).status == 204
    for answer in [rest.get(address), rest.delete(address), rest.get(address + "/deliveries")]:
        assert (answer.status, answer.error["code"], answer.error["title"]) == (404, 104, f"hook: {hook} not found")
    assert rest.post(address + "/test_connection").status == 204
    assert rest.get("/webhook/hooks/nonsense").error["code"] == 103
    assert rest.get(f"/webhook/deliveries/{hook}").error["title"] == f"delivery: {hook} not found"
    assert receiver.came.empty()
    events = rest.search("event_log_entries", [["event_type", "starts_with", "Shotgun_Webhook_"]], fields="event_type")
    assert [row["attributes"]["event_type"].rsplit("_", 1)[1] for row in events.data] == ["Created", "Updated", "Updated", "Deleted"]


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        ({}, {"url": ["url is missing"], "entity_types": ["entity_types either entity types or event type is required"]}),
        (
            {"url": "nonsense", "event_type": "Shotgun_User_Login"},
            {"url": ["url should be a valid url, not a shotgun site or reserved/internal ip address"]},
        ),
        ({"url": "http://h/", "entity_types": {"Shot": {"retire": []}}}, {"entity_types": ["entity_types is not valid"]}),
        ({"url": "http://h/", "entity_types": {"Nope": {"create": []}}}, {"entity_types": ["entity_types is not valid"]}),
        ({"url": "http://h/", "event_type": "nope"}, {"event_type": ["event_type is not valid"]}),
        ({"url": "http://h/", "event_type": ""}, {"event_type": ["event_type must be filled"]}),
        ({"url": "http://h/", "event_type": ["Shotgun_User_Login"]}, {"event_type": ["event_type must be a string"]}),
        (
            {"url": "http://h/", "event_type": "Shotgun_User_Login", "entity_types": {"Shot": {"create": []}}},
            {"entity_types": ["entity_types either entity types or event type is required"]},
        ),
        (
            {"url": "http://h/", "event_type": "Shotgun_User_Login", "projects": 1, "batch_deliveries": 1, "name": 1},
            {
                "projects": ["projects must be an array of integers"],
                "batch_deliveries": ["batch_deliveries must be boolean"],
                "name": ["name must be a string"],
            },
        ),
    ],
)
def test_a_subscription_that_is_none(rest, fields, source):
    assert rest.post("/webhook/hooks", fields).error["source"] == source


def test_what_a_site_does_not_check_is_not_checked(rest):
    body = {"url": "ftp://example.com/x", "projects": [999999], "entity_types": {"Shot": {"update": ["nope"]}, "ApiUser": {"create": []}}}
    assert rest.post("/webhook/hooks", body).status == 201
    assert rest.post("/webhook/hooks", body, kind=ARRAY).status == 415

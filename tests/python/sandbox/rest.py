"""A client of REST as other languages have one: plain HTTP, nothing of the official client."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

ARRAY = "application/vnd+shotgun.api3_array+json"
HASH = "application/vnd+shotgun.api3_hash+json"


class Answer:
    """A status, headers and a body."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        assert self.status < 300, self.body
        return self.json["data"]

    @property
    def error(self) -> dict[str, Any]:
        (error,) = self.json["errors"]
        assert error["status"] == self.status
        assert set(error) == {"id", "status", "code", "title", "source", "detail", "meta"}
        return error


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def send(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Answer:
    request = urllib.request.Request(url, body, headers, method=method)
    opener = urllib.request.build_opener(NoRedirect)
    try:
        with opener.open(request, timeout=20) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


class Client:
    """A site with a token."""

    def __init__(self, site: Any, base: str = "/api/v1", **grant: str) -> None:
        self.site, self.base = site, site.url + base
        answer = self.grant(**(grant or self.script()))
        self.token = answer.json.get("access_token", "")
        self.granted = answer

    def script(self) -> dict[str, str]:
        return {"grant_type": "client_credentials", "client_id": self.site.script, "client_secret": self.site.key}

    def grant(self, **fields: str) -> Answer:
        body = urllib.parse.urlencode(fields).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return send("POST", self.base + "/auth/access_token", body, headers)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        kind: str | None = "application/json",
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        if query:
            path += "?" + urllib.parse.urlencode({key.replace("__", "["): value for key, value in query.items()})
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if data is not None and kind:
            sent["Content-Type"] = kind
        url = path if path.startswith("http") else self.base + path
        return send(method, url, data, sent)

    def get(self, path: str, params: dict[str, Any] | None = None, **options: Any) -> Answer:
        if params:
            path += "?" + urllib.parse.urlencode(params)
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.call("POST", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.call("PUT", path, body, **options)

    def delete(self, path: str) -> Answer:
        return self.call("DELETE", path)

    def search(self, kind: str, filters: Any, **more: Any) -> Answer:
        content = HASH if isinstance(filters, dict) else ARRAY
        return self.post(f"/entity/{kind}/_search", {"filters": filters, **more}, kind=content)

    def create(self, kind: str, **fields: Any) -> int:
        answer = self.post(f"/entity/{kind}", {"project": {"type": "Project", "id": 1}, **fields})
        assert answer.status == 201, answer.body
        return answer.data["id"]

    def claims(self) -> dict[str, Any]:
        middle = self.token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))

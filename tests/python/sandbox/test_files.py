"""Files: uploads by both routes, thumbnails, links, downloads, and what comes of bad ones."""

from __future__ import annotations

import pathlib
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

import pytest
import shotgun_api3
from conftest import Site

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU"
    b"\x00\x00\x00\nIDATx\x9cc\x68\x00\x00\x00\x82\x00\x81w\xcdr\xb6\x00\x00\x00\x00IEND\xaeB`\x82"
)


@pytest.fixture
def version(sg: shotgun_api3.Shotgun) -> dict[str, Any]:
    return sg.create("Version", {"code": "v001", "project": {"type": "Project", "id": 1}})


@pytest.fixture
def still(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "still.png"
    path.write_bytes(PNG)
    return str(path)


def read(url: str) -> tuple[bytes, str]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read(), answer.headers["content-type"]


def test_a_movie_goes_to_the_storage_and_comes_back(
    sg: shotgun_api3.Shotgun, version: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    movie = tmp_path / "Größe 1.mov"
    movie.write_bytes(b"moov\r\n--x" * 100)
    at = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    number = sg.upload("Version", version["id"], str(movie), "sg_uploaded_movie", "A movie", created_at=at)
    found = sg.find_one("Version", [["id", "is", version["id"]]], ["sg_uploaded_movie"])
    link = found["sg_uploaded_movie"]
    assert (link["id"], link["name"], link["link_type"], link["type"]) == (number, "A movie", "upload", "Attachment")
    assert link["content_type"] == "video/quicktime"
    assert sg.download_attachment(link) == movie.read_bytes()
    assert sg.download_attachment(number) == movie.read_bytes()
    assert sg.download_attachment({"type": "Attachment", "id": number}) == movie.read_bytes()
    copy = tmp_path / "copy.mov"
    assert sg.download_attachment(link, file_path=str(copy)) == str(copy)
    assert copy.read_bytes() == movie.read_bytes()
    row = sg.find_one("Attachment", [["id", "is", number]], ["file_size", "filename", "attachment_links", "created_at"])
    assert (row["file_size"], row["filename"], row["created_at"]) == (900, movie.name, at)
    assert [one["id"] for one in row["attachment_links"]] == [version["id"]]


def test_a_movie_in_parts_is_whole(
    sg: shotgun_api3.Shotgun, version: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shotgun_api3.Shotgun, "_MULTIPART_UPLOAD_CHUNK_SIZE", 1000)
    movie = tmp_path / "long.mov"
    movie.write_bytes(bytes(range(256)) * 10)
    number = sg.upload("Version", version["id"], str(movie), "sg_uploaded_movie")
    assert sg.download_attachment(number) == movie.read_bytes()


def test_files_are_attached_with_and_without_a_field(
    sg: shotgun_api3.Shotgun, tmp_path: pathlib.Path, version: dict[str, Any]
) -> None:
    ticket = sg.create("Ticket", {"title": "t", "project": {"type": "Project", "id": 1}})
    text = tmp_path / "log.txt"
    text.write_text("lines")
    by_field = sg.upload("Ticket", ticket["id"], str(text), "attachments", tag_list="monkeys, send, help")
    loose = sg.upload("Ticket", ticket["id"], str(text))
    found = sg.find_one("Ticket", [["id", "is", ticket["id"]]], ["attachments"])
    assert [one["id"] for one in found["attachments"]] == [by_field, loose]
    assert sg.download_attachment(found["attachments"][0]) == b"lines"
    tags = sg.find_one("Attachment", [["id", "is", by_field]], ["tag_list"])["tag_list"]
    assert tags == ["monkeys", "send", "help"]
    for kind, field in [("Version", "code"), ("Version", "no_such"), ("Nothing", None)]:
        with pytest.raises(shotgun_api3.ShotgunError, match="API upload"):
            sg.upload(kind, version["id"], str(text), field)
    with pytest.raises(shotgun_api3.ShotgunError, match="does not exist"):
        sg.upload("Version", 999, str(text))


def test_a_thumbnail_is_served_shared_and_cleared(
    sg: shotgun_api3.Shotgun, site: Site, version: dict[str, Any], still: str
) -> None:
    other = sg.create("Version", {"code": "v002", "project": {"type": "Project", "id": 1}})

    def image(of: dict[str, Any], field: str = "image") -> str | None:
        return sg.find_one("Version", [["id", "is", of["id"]]], [field])[field]

    number = sg.upload_thumbnail("Version", version["id"], still)
    url = image(version)
    assert url is not None
    assert read(url) == (PNG, "image/png")
    strip = sg.upload_filmstrip_thumbnail("Version", version["id"], still)
    assert strip != number
    assert read(image(version, "filmstrip_image") or "") == (PNG, "image/png")
    assert sg.share_thumbnail([other], source_entity=version) == number
    assert (image(other) or "").split("?")[0] == url.split("?")[0]
    sg.update("Version", version["id"], {"image": None})
    assert image(version) is None
    assert image(version, "filmstrip_image") is None
    assert sg.share_thumbnail([other], source_entity=version) is None
    assert image(other) is None
    events = sg.find(
        "EventLogEntry", [["attribute_name", "is", "image"], ["entity", "is", version]], ["meta"],
        order=[{"field_name": "id", "direction": "asc"}],
    )
    metas = [row["meta"] for row in events]
    assert [(meta["new_value"], meta.get("is_transient")) for meta in metas] == [
        (number, True), (number, False), (None, None),
    ]


def test_a_thumbnail_in_the_making_is_a_placeholder(
    sg: shotgun_api3.Shotgun, site: Site, version: dict[str, Any], still: str
) -> None:
    other = sg.create("Version", {"code": "v002", "project": {"type": "Project", "id": 1}})
    site.order("processing", ms=600_000)
    sg.upload_thumbnail("Version", version["id"], still)
    url = sg.find_one("Version", [["id", "is", version["id"]]], ["image"])["image"]
    assert "/images/status/transient/" in url
    assert read(url)[1] == "image/png"
    with pytest.raises(shotgun_api3.ShotgunThumbnailNotReady):
        sg.share_thumbnail([other], source_entity=version)


def test_an_image_of_a_create_and_a_thumbnail_for_many(sg: shotgun_api3.Shotgun, still: str) -> None:
    made = [
        sg.create("Version", {"code": code, "project": {"type": "Project", "id": 1}, "image": still}, ["image"])
        for code in ("a", "b")
    ]
    assert all(read(one["image"])[0] == PNG for one in made)
    shots = [{"type": "Version", "id": one["id"]} for one in made]
    sg.share_thumbnail(list(shots), thumbnail_path=still)
    urls = {row["image"].split("?")[0] for row in sg.find("Version", [], ["image"])}
    assert len(urls) == 1


def test_links_of_every_kind(sg: shotgun_api3.Shotgun, version: dict[str, Any], still: str) -> None:
    number = sg.upload("Version", version["id"], still, "sg_uploaded_movie")
    movie = sg.find_one("Version", [["id", "is", version["id"]]], ["sg_uploaded_movie"])["sg_uploaded_movie"]
    other = sg.create("Version", {
        "code": "v002", "project": {"type": "Project", "id": 1}, "sg_uploaded_movie": movie,
    }, ["sg_uploaded_movie"])
    assert other["sg_uploaded_movie"]["id"] == number
    assert sg.download_attachment(other["sg_uploaded_movie"]) == PNG
    page = sg.update("Version", version["id"], {"sg_uploaded_movie": {"url": "http://x.example/a", "name": "page"}})
    assert page["sg_uploaded_movie"]["link_type"] == "web"
    with pytest.raises(shotgun_api3.ShotgunFileDownloadError, match="may not exist"):
        sg.download_attachment(page["sg_uploaded_movie"]["id"])
    with pytest.raises(shotgun_api3.ShotgunFileDownloadError, match="may not exist"):
        sg.download_attachment(1 << 20)
    assert sg.download_attachment(None) is None
    sg.delete("Attachment", number)
    with pytest.raises(shotgun_api3.ShotgunFileDownloadError, match="may not exist"):
        sg.download_attachment(number)


def form(site: Site, route: str, fields: dict[str, str], name: str = "", data: bytes = b"") -> str:
    auth = {"script_name": site.script, "script_key": site.key}
    lines = b""
    for key, value in {**auth, **fields}.items():
        lines += f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
    if name:
        lines += f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        lines += data + b"\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    request = urllib.request.Request(f"{site.url}/upload/{route}", lines + b"--b--\r\n", headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def test_a_bad_upload_is_refused_in_words_and_leaves_nothing(
    sg: shotgun_api3.Shotgun, site: Site, version: dict[str, Any]
) -> None:
    to = {"entity_type": "Version", "entity_id": str(version["id"])}
    for fields, name, data, words in [
        (to, "", b"", "no file in 'file'"),
        (to, "a.txt", b"", "is empty"),
        ({"entity_type": "Version", "entity_id": "x"}, "a.txt", b"x", "invalid/missing integer 'entity_id'"),
        ({}, "a.txt", b"x", "missing 'entity_type'"),
        ({**to, "script_key": "wrong"}, "a.txt", b"x", "Can't authenticate script"),
        ({**to, "created_at": "soon"}, "a.txt", b"x", "invalid 'created_at'"),
    ]:
        answer = form(site, "upload_file", fields, name, data)
        assert answer.startswith("0\n") and words in answer, answer
    for route, fields, words in [
        ("api_link_file", {**to, "upload_link_info": "1\nx\nx\nAttachment\nx"}, "not one of this site"),
        ("api_get_upload_link_info", {"upload_type": "X", "filename": "a"}, "invalid 'upload_type'"),
        ("api_get_upload_link_for_part", {"upload_id": "x", "part_number": "1"}, "no such upload"),
        ("share_thumbnail", {"entities": "Version", "source_entity": "Version_1"}, "invalid entity 'Version'"),
        ("nothing", {}, "nothing at /upload/nothing"),
    ]:
        answer = form(site, route, fields)
        assert answer.startswith("0\n") and words in answer, answer
    assert sg.find("Attachment", []) == []


def test_a_name_with_a_path_is_a_name(sg: shotgun_api3.Shotgun, site: Site, version: dict[str, Any]) -> None:
    to = {"entity_type": "Version", "entity_id": str(version["id"]), "field_name": "sg_uploaded_movie"}
    answer = form(site, "upload_file", to, "../../../../tmp/evil.mov", b"data")
    number = int(answer.removeprefix("1:"))
    assert sg.find_one("Attachment", [["id", "is", number]], ["filename"])["filename"] == "evil.mov"
    link = sg.find_one("Version", [["id", "is", version["id"]]], ["sg_uploaded_movie"])["sg_uploaded_movie"]
    assert ".." not in link["url"]
    assert read(link["url"])[0] == b"data"
    for bad in (link["url"][:-1] + "x", link["url"].replace("/files/", "/files/../files/"), link["url"].split("?")[0]):
        with pytest.raises(urllib.error.HTTPError) as refused:
            read(bad)
        assert refused.value.code == 403
        assert b"SignatureDoesNotMatch" in refused.value.read()


def test_a_hundred_megabytes_are_taken_and_three_hundred_refused(site: Site, version: dict[str, Any]) -> None:
    to = {"entity_type": "Version", "entity_id": str(version["id"])}
    assert form(site, "upload_file", to, "big.bin", bytes(100 << 20)).startswith("1:")
    answer = form(site, "upload_file", to, "big.bin", bytes(300 << 20))
    assert answer == "0\na body of more than 256 MiB\n"


def test_a_file_is_fetched_by_its_address_with_the_cookie_of_a_session(
    sg: shotgun_api3.Shotgun, version: dict[str, Any], still: str
) -> None:
    made = sg.upload("Version", version["id"], still)
    opener = urllib.request.build_opener(sg.get_auth_cookie_handler())
    address = sg.get_attachment_download_url({"type": "Attachment", "id": made})
    assert address == sg.get_attachment_download_url(made)
    with opener.open(address, timeout=10) as answer:
        assert answer.read() == pathlib.Path(still).read_bytes()
    assert sg.get_attachment_download_url({"url": address}) == address
    assert sg.get_attachment_download_url(None) is None

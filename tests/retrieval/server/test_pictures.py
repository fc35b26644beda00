"""Thumbnails and originals over HTTP: conditions, ranges, names, and nothing that is elsewhere."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from tests.fakes import ColourEncoder, draw

uvicorn = pytest.importorskip("uvicorn", reason="needs the extra serve")
pytest.importorskip("fastapi", reason="needs the extra serve")

from retrieval.api import PhotoLibrary  # noqa: E402
from retrieval.server.app import create_app  # noqa: E402
from retrieval.server.libraries import Libraries, ServedLibrary  # noqa: E402
from retrieval.server.settings import ServeSettings  # noqa: E402

FILM = bytes(range(256)) * 1_000


@dataclass
class Answer:
    """What a server answers."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """A running server, the library it serves, and the photos in that."""

    port: int
    folder: Path
    photos: Path

    def get(self, path: str, **headers: str) -> Answer:
        """Ask, with headers by their names with underscores."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers=named)
        response = connection.getresponse()
        answer = Answer(
            response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        )
        connection.close()
        return answer

    def item(self, name: str) -> str:
        """The address of the first item of a file."""
        with Library.open(self.folder) as library:
            ids = [id_ for kind in Kind for id_ in library.catalog.item_ids(kind).tolist()]
            found = [each.id for each in library.records(ids) if each.path.name == name]
        return f"/api/v1/items/{found[0]}"


@contextmanager
def _running(folder: Path) -> Iterator[int]:
    """A server on a free port."""
    settings = ServeSettings(port=0)
    served = ServedLibrary(
        folder, "photos", settings, lambda path: PhotoLibrary.open(path, create=False)
    )
    libraries = Libraries([served])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            create_app(libraries, settings), http="h11", lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)
            libraries.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("site")
    photos = home / "photos"
    draw(photos / "red.jpg", "red", size=(400, 300))
    draw(photos / "wide.png", "green", "blue", size=(2100, 700))
    draw(photos / "broken.jpg", "yellow")
    draw(photos / 'odd "name" – ñ.gif', "blue", "red")
    draw(photos / "scan.tiff", "purple", "white")
    (photos / "page.txt").write_text("<script>alert(1)</script>\n")
    with Library.create(home / "library", ColourEncoder()) as library:
        index_folders(library, ColourEncoder(), [photos])
    with _running(home / "library") as port:
        yield Site(port, home / "library", photos)


def _problem(answer: Answer) -> tuple[int, str]:
    """The status and the code of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status, json.loads(answer.body)["code"]


@pytest.mark.parametrize(("size", "fits"), [("", (256, 86)), ("?size=1024", (1024, 341))])
def test_a_thumbnail_is_webp_of_its_size(site: Site, size: str, fits: tuple[int, int]) -> None:
    answer = site.get(f"{site.item('wide.png')}/thumb{size}")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/webp")
    image = Image.open(BytesIO(answer.body))
    assert (image.format, image.size) == ("WEBP", fits)


def test_with_its_version_it_never_changes(site: Site) -> None:
    item = site.item("red.jpg")
    told = json.loads(site.get(item).body)["thumb"]
    with_version, without = site.get(told), site.get(f"{item}/thumb")
    assert with_version.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert without.headers["cache-control"] == "private, no-cache"
    assert with_version.headers["etag"] == without.headers["etag"]
    assert with_version.body == without.body
    wrong = site.get(f"{item}/thumb?v=1000")
    assert wrong.headers["cache-control"] == "private, no-cache"


def test_who_has_it_gets_304(site: Site) -> None:
    path = f"{site.item('red.jpg')}/thumb"
    tag = site.get(path).headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        answer = site.get(path, If_None_Match=known)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    for other in ('"other"', tag.replace("-256", "-1024")):
        assert site.get(path, If_None_Match=other).status == 200
    assert site.get(f"{path}?size=1024", If_None_Match=tag).status == 200


def test_a_changed_photo_has_another_tag(site: Site) -> None:
    draw(site.photos / "late.jpg", "orange")
    with Library.open(site.folder) as library:
        index_folders(library, ColourEncoder(), [site.photos])
    path = f"{site.item('late.jpg')}/thumb"
    before = site.get(path)
    draw(site.photos / "late.jpg", "green", size=(50, 60))
    after = site.get(path, If_None_Match=before.headers["etag"])
    assert after.status == 200
    assert after.headers["etag"] != before.headers["etag"]
    assert Image.open(BytesIO(after.body)).size == (50, 60)


def test_what_cannot_be_shown_says_why(site: Site) -> None:
    item = site.item("broken.jpg")
    (site.photos / "broken.jpg").write_bytes(b"no picture any more")
    answer = site.get(f"{item}/thumb")
    assert _problem(answer) == (422, "unreadable")
    assert "not an image" in json.loads(answer.body)["detail"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("what", ["thumb", "original"])
def test_what_is_not_there(site: Site, what: str) -> None:
    assert _problem(site.get(f"/api/v1/items/999/{what}")) == (404, "not_found")
    assert _problem(site.get(f"/api/v1/items/..%2F..%2Fetc%2Fpasswd/{what}")) == (404, "not_found")
    assert _problem(site.get(f"/api/v1/items/-1/{what}")) == (422, "usage")
    assert _problem(site.get(f"/api/v1/items/1/{what}?library=other")) == (404, "not_found")


def test_a_text_has_no_thumbnail_and_there_are_two_sizes(site: Site) -> None:
    assert _problem(site.get(f"{site.item('page.txt')}/thumb")) == (404, "not_found")
    assert _problem(site.get(f"{site.item('red.jpg')}/thumb?size=512")) == (422, "usage")


def test_the_original_is_the_file(site: Site) -> None:
    answer = site.get(f"{site.item('red.jpg')}/original")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.body == (site.photos / "red.jpg").read_bytes()
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    again = site.get(f"{site.item('red.jpg')}/original", If_None_Match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=100-", 100, None),
        ("bytes=-7", -7, None),
        ("bytes=5-999999999", 5, None),
        ("bytes=-999999999", 0, None),
    ],
)
def test_a_part_of_a_file(site: Site, asked: str, first: int, last: int | None) -> None:
    whole = (site.photos / "red.jpg").read_bytes()
    answer = site.get(f"{site.item('red.jpg')}/original", Range=asked)
    want = whole[first : len(whole) if last is None else last + 1]
    assert (answer.status, answer.body) == (206, want)
    start = first % len(whole)
    span = f"bytes {start}-{start + len(want) - 1}/{len(whole)}"
    assert answer.headers["content-range"] == span
    assert answer.headers["content-length"] == str(len(want))


@pytest.mark.parametrize(
    "asked", ["bytes=", "bytes=9-3", "bytes=1-2,5-6", "lines=1-2", "bytes=a-b"]
)
def test_what_is_no_range_gets_the_whole_file(site: Site, asked: str) -> None:
    answer = site.get(f"{site.item('red.jpg')}/original", Range=asked)
    assert (answer.status, answer.body) == (200, (site.photos / "red.jpg").read_bytes())


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=-0"])
def test_a_range_behind_the_end(site: Site, asked: str) -> None:
    answer = site.get(f"{site.item('red.jpg')}/original", Range=asked)
    assert _problem(answer) == (416, "usage")
    size = (site.photos / "red.jpg").stat().st_size
    assert answer.headers["content-range"] == f"bytes */{size}"


def test_a_range_of_a_copy_that_has_changed_gets_the_whole_file(site: Site) -> None:
    path = f"{site.item('red.jpg')}/original"
    tag = site.get(path).headers["etag"]
    assert site.get(path, Range="bytes=0-9", If_Range=tag).status == 206
    assert site.get(path, Range="bytes=0-9", If_Range='"old"').status == 200


def test_of_head_the_file_is_not_read(site: Site) -> None:
    path = f"{site.item('red.jpg')}/original"
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    for _ in range(2):  # the connection can be used again
        connection.request("HEAD", path)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"")
        size = (site.photos / "red.jpg").stat().st_size
        assert response.headers["content-length"] == str(size)
    connection.close()


def test_names_and_types(site: Site) -> None:
    text = site.get(f"{site.item('page.txt')}/original")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.headers["content-disposition"].startswith('attachment; filename="page.txt"')
    odd = site.get(f"{site.item(next(site.photos.glob('odd*')).name)}/original")
    assert odd.headers["content-type"] == "image/gif"
    assert odd.headers["content-disposition"] == (
        'inline; filename="odd _name_ _ _.gif"; '
        "filename*=UTF-8''odd%20%22name%22%20%E2%80%93%20%C3%B1.gif"
    )
    scan = site.get(f"{site.item('scan.tiff')}/original")
    assert scan.headers["content-type"] == "image/tiff"
    assert scan.headers["content-disposition"].startswith("attachment;")


def test_a_link_out_of_the_indexed_folders(site: Site, tmp_path: Path) -> None:
    draw(site.photos / "linked.png", "black", "white")
    with Library.open(site.folder) as library:
        index_folders(library, ColourEncoder(), [site.photos])
    item = site.item("linked.png")
    draw(tmp_path / "secret.png", "blue")
    (site.photos / "linked.png").unlink()
    (site.photos / "linked.png").symlink_to(tmp_path / "secret.png")
    for what in ("thumb", "original"):
        answer = site.get(f"{item}/{what}")
        assert _problem(answer) == (422, "unreadable")
        assert b"leads out of the indexed folders" in answer.body


def test_no_file_stays_open_when_a_client_leaves(site: Site) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("counts the open files in /proc")
    large = site.photos / "large.txt"
    large.write_bytes(b"a line of words\n" * 100)
    with Library.open(site.folder) as library:
        index_folders(library, ColourEncoder(), [site.photos])
    item = site.item("large.txt")
    with large.open("r+b") as file:
        file.truncate(1 << 30)  # sparse; more than what waits in sockets

    def is_open() -> bool:
        links = [*Path("/proc/self/fd").iterdir()]
        return any(os.path.realpath(link) == str(large) for link in links)

    with socket.create_connection(("127.0.0.1", site.port)) as client:
        client.sendall(f"GET {item}/original HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        assert is_open()
    until = time.monotonic() + 20
    while is_open() and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_open()
    large.unlink()

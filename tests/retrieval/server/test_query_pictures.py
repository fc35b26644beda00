"""Pictures that are sent to search with: decoded in their own process, kept for a while."""

from __future__ import annotations

import io
import random
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from indexer.decoding.pool import shared_decoders
from retrieval.server.pictures import SentPictures
from retrieval.server.problems import Problem
from retrieval.server.settings import ServeSettings
from tests.fakes import draw
from tests.retrieval.server.colours import Answer, Running, paths, running


def send(site: Running, data: bytes, kind: str = "image/png") -> Answer:
    """Send the bytes of a picture."""
    return site.ask("POST", "/api/v1/queries", data, content_type=kind)


@pytest.fixture(scope="module")
def red(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A red picture."""
    return draw(tmp_path_factory.mktemp("sent") / "r.png", "red", size=(600, 400)).read_bytes()


def test_a_picture_is_a_term(site: Running, red: bytes) -> None:
    sent = send(site, red).json
    assert (sent["width"], sent["height"]) == (600, 400)
    found = site.get(f"/api/v1/search?q=picture:{sent['id']}")
    assert paths(found)[0] == "red.png"
    assert found.json["query"]["terms"] == [
        {"text": None, "item": None, "picture": sent["id"], "weight": 1.0}
    ]
    posted = site.post("/api/v1/search", {"terms": [{"picture": sent["id"]}]})
    assert posted.json["hits"] == found.json["hits"]
    with_words = site.get(f"/api/v1/search?q=picture:{sent['id']}+-+red+%2B+green")
    assert paths(with_words)[0] == "green.png"


def test_the_same_picture_has_the_same_id(site: Running, red: bytes) -> None:
    first, again = send(site, red).json, send(site, red).json
    assert first["id"] == again["id"]
    left = datetime.fromisoformat(again["expires"]) - datetime.now(UTC)
    assert 3_500 < left.total_seconds() <= 3_600


def test_its_thumbnail_is_small(site: Running, red: bytes) -> None:
    answer = site.get(send(site, red).json["thumb"])
    assert (answer.status, answer.headers["content-type"]) == (200, "image/webp")
    assert Image.open(io.BytesIO(answer.body)).size == (256, 171)
    missing = site.get("/api/v1/queries/0123/thumb")
    assert (missing.status, missing.code) == (404, "not_found")
    assert site.get("/api/v1/search?q=picture:0123").code == "not_found"


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"<svg/>", b"%!PS\n", b"\xff\xd8\xff" * 9]
)
def test_what_is_no_picture_is_refused(site: Running, data: bytes) -> None:
    answer = send(site, data)
    assert (answer.status, answer.code) == (400, "usage")


def test_a_picture_of_too_many_pixels_is_refused(site: Running) -> None:
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(9_000))), (b"IEND", b"")]
    packed = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    answer = send(site, b"\x89PNG\r\n\x1a\n" + packed)
    assert (answer.status, answer.code) == (400, "usage")
    assert "megapixels" in answer.json["detail"]


def test_broken_pictures_cost_themselves_alone(site: Running, red: bytes, tmp_path: Path) -> None:
    rng = random.Random(0)
    whole = [
        red,
        draw(tmp_path / "a.jpg", "green", "blue").read_bytes(),
        draw(tmp_path / "a.webp", "white", "red").read_bytes(),
        draw(tmp_path / "a.gif", "white", "red").read_bytes(),
        draw(tmp_path / "a.tiff", "black", "red").read_bytes(),
    ]
    for _ in range(40):
        data = bytearray(rng.choice(whole))
        for _ in range(rng.randrange(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        answer = send(site, bytes(data[: rng.randrange(1, len(data) + 1)]))
        assert answer.status in (200, 400), answer.body
        if answer.status == 400:
            assert answer.code == "usage"
    assert paths(site.get("/api/v1/search?q=red"))[0] == "red.png"
    assert send(site, red).status == 200


def test_a_decoder_that_dies_costs_nothing_else(site: Running, tmp_path: Path) -> None:
    send(site, draw(tmp_path / "first.png", "red", "green").read_bytes())
    decoders = shared_decoders()
    for process in list(decoders._all):
        process._popen.kill()
        process._popen.wait(20)
    again = send(site, draw(tmp_path / "second.png", "green", "blue").read_bytes())
    assert again.status == 200


def test_pictures_expire(red: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr("retrieval.server.pictures.time.time", lambda: now[0])
    pictures = SentPictures(ServeSettings(picture_seconds=60))
    sent = pictures.add(red)
    assert sent.expires == 1_060
    now[0] = 1_050
    assert pictures.image(sent.id) is not None  # which keeps it longer
    now[0] = 1_100
    assert pictures.get(sent.id).expires == 1_160
    now[0] = 1_161
    assert pictures.image(sent.id) is None
    with pytest.raises(Problem, match="send it again"):
        pictures.get(sent.id)


def test_pictures_take_so_much_memory_at_most(tmp_path: Path) -> None:
    data = [
        draw(tmp_path / f"{one}.png", one, size=(100, 100)).read_bytes()
        for one in ("red", "green", "blue")
    ]
    pictures = SentPictures(ServeSettings(picture_bytes=2 * 3 * 100 * 100))
    red, green = pictures.add(data[0]), pictures.add(data[1])
    pictures.image(red.id)
    blue = pictures.add(data[2])  # green was used longest ago
    assert [pictures.image(each.id) is not None for each in (red, green, blue)] == [
        True,
        False,
        True,
    ]


def test_large_pictures_are_kept_small(tmp_path: Path) -> None:
    data = draw(tmp_path / "large.jpg", "red", size=(3_000, 2_000)).read_bytes()
    sent = SentPictures(ServeSettings()).add(data)
    assert (sent.width, sent.height) == (3_000, 2_000)
    assert max(sent.image.size) == 1_024


def test_pictures_are_of_one_server(coloured: Path, site: Running, red: bytes) -> None:
    id_ = send(site, red).json["id"]
    with running(coloured) as other:
        assert other.get(f"/api/v1/search?q=picture:{id_}").code == "not_found"

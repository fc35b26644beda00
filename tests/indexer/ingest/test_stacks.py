"""Files of one shot count once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from indexer.ingest.stacks import companions, followers
from indexer.ingest.walker import FoundFile, WalkOptions, walk
from indexer.media.live_photo import is_live
from tests.films import film, maker_note


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        ("a.jpg b.jpg a.png", {}),
        ("a.jpg a.cr2", {"a.jpg": ("a.cr2",)}),
        ("A.JPG a.Cr2 b.nef", {"A.JPG": ("a.Cr2",)}),
        ("a.heic a.mov", {"a.heic": ("a.mov",)}),
        ("a.dng a.heic a.mov", {"a.heic": ("a.dng", "a.mov")}),
        ("a.dng a.mov", {"a.dng": ("a.mov",)}),
        ("a.cr2 a.dng", {"a.cr2": ("a.dng",)}),
        ("a.heic a.jpg a.mov", {"a.heic": ("a.mov",)}),
        ("a.mov b.nef", {}),
        ("a.png a.nef", {}),  # made by a person, not by the camera
        ("a.jpg a.mkv", {}),
        ("a.jpg a.jpg.nef", {}),
    ],
)
def test_who_follows_whom(tmp_path: Path, names: str, pairs: dict[str, tuple[str, ...]]) -> None:
    for name in names.split():
        (tmp_path / name).touch()
        if name.endswith((".mov", ".mkv")):
            film(tmp_path / name, 3.0)
    assert companions(names.split(), tmp_path) == pairs


def test_a_long_film_is_no_live_photo(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    film(tmp_path / "a.mov", 60.0)
    assert companions(["a.jpg", "a.mov", "gone.jpg", "gone.mov"], tmp_path) == {}


@pytest.mark.parametrize(
    ("seconds", "of_film", "of_picture", "live"),
    [
        (2.9, "", "", True),  # phones that write no identifier, and copies that lost it
        (5.1, "", "", False),
        (3.0, "A-1", "A-1", True),
        (9.0, "A-1", "A-1", True),  # the identifiers say so, whatever the length
        (3.0, "A-1", "B-2", False),  # of another shot: a counter that began anew
        (3.0, "A-1", "", True),  # the picture was edited and lost it
        (60.0, "A-1", "", False),
        (3.0, "", "B-2", True),
    ],
)
def test_the_identifier_tells_then_the_length(
    tmp_path: Path, seconds: float, of_film: str, of_picture: str, live: bool
) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"\xff\xd8" + (maker_note(of_picture) if of_picture else b""))
    for version in (0, 1):
        moving = film(tmp_path / "a.mov", seconds, identifier=of_film, version=version, lead=9_999)
        assert is_live(picture, moving) is live


def test_what_is_no_film_is_none_of_a_live_photo(tmp_path: Path) -> None:
    picture, moving = tmp_path / "a.jpg", tmp_path / "a.mov"
    picture.touch()
    whole = film(moving, 3.0).read_bytes()
    for data in (b"", b"words" * 99, whole[:20], whole[:40], b"\0\0\0\1" * 99):
        moving.write_bytes(data)
        assert not is_live(picture, moving)
    moving.unlink()
    os.mkfifo(moving)
    assert not is_live(picture, moving)  # and is not waited for


def test_followers() -> None:
    assert followers({"a": ("b", "c"), "d": ("e",)}) == {"b", "c", "e"}


def test_the_walk_finds_leaders(tmp_path: Path) -> None:
    other = tmp_path / "raw"
    other.mkdir()
    for path in (tmp_path / "a.jpg", tmp_path / "a.cr2", tmp_path / "a.CR2.xmp", other / "a.cr2"):
        path.touch()
    found = {item.path: item for item in walk([tmp_path], options=WalkOptions())}
    assert set(found) == {tmp_path / "a.jpg", other / "a.cr2"}
    led = found[tmp_path / "a.jpg"]
    assert isinstance(led, FoundFile)
    assert (led.also, led.sidecar) == (("a.cr2",), tmp_path / "a.CR2.xmp")

"""Files of one shot count once."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.companions import LIVE_BYTES, companions, followers
from indexer.walk import Found, WalkOptions, walk


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
    assert companions(names.split(), tmp_path) == pairs


def test_a_long_film_is_no_live_photo(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with (tmp_path / "a.mov").open("wb") as film:
        film.truncate(LIVE_BYTES + 1)
    assert companions(["a.jpg", "a.mov", "gone.jpg", "gone.mov"], tmp_path) == {}


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
    assert isinstance(led, Found)
    assert (led.also, led.sidecar) == (("a.cr2",), tmp_path / "a.CR2.xmp")

"""Files below given folders are opened, whatever links lead to them; nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from indexer.core import contained_files
from indexer.core.contained_files import OUTSIDE, open_below
from indexer.core.errors import FileUnreadable


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Photos, and a secret beside them."""
    (tmp_path / "photos" / "2019" / "june").mkdir(parents=True)
    (tmp_path / "photos" / "2019" / "june" / "a.jpg").write_bytes(b"a photo")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.jpg").write_bytes(b"a secret")
    return tmp_path


def _read(path: Path, *roots: Path) -> bytes:
    with open_below(path, roots) as file:
        return file.read()


def test_a_file_below_a_root(home: Path) -> None:
    photo, photos = home / "photos" / "2019" / "june" / "a.jpg", home / "photos"
    assert _read(photo, photos) == b"a photo"
    assert _read(photo, home / "secret", photos) == b"a photo"
    assert _read(photo, photo) == b"a photo"  # a single file that was indexed


def test_a_file_beside_the_roots(home: Path) -> None:
    for path in (home / "secret" / "a.jpg", home / "photos" / ".." / "secret" / "a.jpg"):
        with pytest.raises(FileUnreadable, match=OUTSIDE):
            open_below(path, [home / "photos"])
    with pytest.raises(FileUnreadable, match=OUTSIDE):
        open_below(home / "photos" / "2019" / "june" / "a.jpg", [home / "photos" / "201"])


def test_a_link_that_leads_out(home: Path) -> None:
    photos = home / "photos"
    (photos / "b.jpg").symlink_to(home / "secret" / "a.jpg")
    (photos / "folder").symlink_to(home / "secret")
    for path in (photos / "b.jpg", photos / "folder" / "a.jpg"):
        with pytest.raises(FileUnreadable, match=OUTSIDE):
            open_below(path, [photos])
        assert _read(path, photos, home / "secret") == b"a secret"  # indexed, too


def test_a_link_that_stays_within(home: Path) -> None:
    (home / "photos" / "best.jpg").symlink_to("2019/june/a.jpg")
    assert _read(home / "photos" / "best.jpg", home / "photos") == b"a photo"


@pytest.mark.parametrize("link", ["a.jpg", ".", ".."])
def test_a_link_that_comes_while_the_file_is_opened(
    home: Path, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place of the photo, of its folder, or of the folder above, once the path is resolved."""
    photos = home / "photos"
    photo = photos / "2019" / "june" / "a.jpg"
    place = Path(os.path.normpath(photo.parent / link))
    target = {"a.jpg": home / "secret" / "a.jpg", ".": home / "secret", "..": home / "secret"}
    (home / "secret" / "june").mkdir()
    (home / "secret" / "june" / "a.jpg").write_bytes(b"a secret")
    walk = contained_files._walked

    def swapped(start: Path, names: tuple[str, ...]) -> object:
        place.rename(home / "moved")
        place.symlink_to(target[link])
        return walk(start, names)

    monkeypatch.setattr(contained_files, "_walked", swapped)
    with pytest.raises((FileUnreadable, OSError)) as refused:
        open_below(photo, [photos])
    assert str(refused.value) in (OUTSIDE, "not a regular file")


def test_what_is_no_regular_file(home: Path) -> None:
    os.mkfifo(home / "photos" / "pipe.jpg")
    for path in (home / "photos" / "pipe.jpg", home / "photos" / "2019"):
        with pytest.raises(FileUnreadable, match="not a regular file"):
            open_below(path, [home / "photos"])
    with pytest.raises(FileNotFoundError):
        open_below(home / "photos" / "gone.jpg", [home / "photos"])


def test_no_handle_is_left_open(home: Path) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("counts the handles in /proc")
    (home / "photos" / "b.jpg").symlink_to(home / "secret" / "a.jpg")

    def handles() -> int:
        return len([*Path("/proc/self/fd").iterdir()])

    before = handles()
    for name in ("2019/june/a.jpg", "2019", "b.jpg", "gone.jpg", "2019/gone/a.jpg"):
        try:
            open_below(home / "photos" / name, [home / "photos"]).close()
        except (FileUnreadable, OSError):
            continue
    assert handles() == before


def test_a_system_without_steps(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows cannot open a file from an open folder."""
    monkeypatch.setattr(contained_files, "_STEPS", False)
    photos = home / "photos"
    assert _read(photos / "2019" / "june" / "a.jpg", photos) == b"a photo"
    (photos / "b.jpg").symlink_to(home / "secret" / "a.jpg")
    with pytest.raises(FileUnreadable, match=OUTSIDE):
        open_below(photos / "b.jpg", [photos])

"""The index line on folders: closed, unplugged, excluded, or reached by two ways."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from indexer.core.errors import UsageError
from indexer.core.types import Skip
from indexer.ingest.walker import WalkOptions
from indexer.library.library import Library
from tests.fakes import draw
from tests.indexer.ingest.runs import ENCODER, counted, findable, index


def test_a_missing_folder_wipes_nothing(library: Library, photos: Path) -> None:
    index(library, photos)
    photos.rename(photos.with_name("unplugged"))
    with pytest.raises(UsageError, match=r"no folder at .*photos'; is its drive plugged in"):
        index(library, photos)
    photos.mkdir()  # a mount point without its drive
    with pytest.raises(UsageError, match="is empty, but the library holds files of it"):
        index(library, photos)
    assert len(findable(library)) == 3


def test_a_linked_drive_that_is_unplugged_wipes_nothing(library: Library, tmp_path: Path) -> None:
    root, drive = tmp_path / "root", tmp_path / "drive"
    draw(root / "a.png", "red")
    draw(drive / "b.png", "blue")
    (root / "link").symlink_to(drive)
    index(library, root)
    drive.rename(tmp_path / "gone")
    report = index(library, root)
    assert report.skipped == (Skip(path=root / "link", reason="a link that leads nowhere"),)
    assert set(findable(library)) == {"a.png", "b.png"}


def test_a_closed_folder_wipes_nothing(as_a_user: Path) -> None:
    root = as_a_user / "photos"
    draw(root / "closed" / "a.png", "red")
    draw(root / "b.png", "blue")
    with Library.create(as_a_user / "library", ENCODER) as library:
        index(library, root)
        (root / "closed").chmod(0)
        (root / "b.png").unlink()
        draw(root / "c.png", "red")  # the same content as the one that is out of sight
        report = index(library, root)
        assert report.skipped == (Skip(path=root / "closed", reason="permission denied"),)
        assert counted(report) == {"photos": 1, "removed": 1}
        assert set(findable(library)) == {"a.png", "c.png"}


def test_a_closed_file_keeps_what_is_known_of_it(as_a_user: Path) -> None:
    photo = draw(as_a_user / "photos" / "a.png", "red")
    with Library.create(as_a_user / "library", ENCODER) as library:
        index(library, photo)
        draw(photo, "blue", "green")
        photo.chmod(0)
        assert index(library, photo).skipped == (Skip(path=photo, reason="permission denied"),)
        assert set(findable(library)) == {"a.png"}
        photo.chmod(0o600)
        assert counted(index(library, photo)) == {"updated": 1}


def test_other_folders_are_left_alone(library: Library, photos: Path, tmp_path: Path) -> None:
    draw(tmp_path / "other" / "white.png", "white")
    index(library, photos, tmp_path / "other")
    shutil.rmtree(photos)
    assert counted(index(library, tmp_path / "other")) == {"unchanged": 1}
    assert len(findable(library)) == 4


def test_a_folder_named_now_as_excluded_leaves(library: Library, photos: Path) -> None:
    draw(photos / "drafts" / "d.png", "black")
    index(library, photos)
    report = index(library, photos, walk=WalkOptions(exclude_dirs=("drafts",)))
    assert counted(report) == {"removed": 1, "unchanged": 4}


def test_the_same_folder_by_two_ways_is_one(library: Library, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(photos)
    report = index(library, tmp_path / "link", photos / ".." / "photos")
    assert counted(report) == {"photos": 3, "texts": 2}
    assert library.info().folders == (photos,)


def test_the_library_may_lie_in_the_folder(photos: Path) -> None:
    with Library.create(photos / "library", ENCODER) as library:
        draw(library.folder / "thumb.png", "red")
        assert counted(index(library, photos)) == {"photos": 3, "texts": 2}

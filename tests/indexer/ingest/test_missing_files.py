"""What is out of reach stays in the library; what was deleted leaves it."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest
from PIL import Image

from indexer.catalog.changes import FolderState, Transaction
from indexer.core.errors import UsageError
from indexer.core.file_access import unreachable
from indexer.core.types import Gap, Kind
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.index_report import IndexReport
from indexer.ingest.missing_files import KnownBefore, judged
from indexer.ingest.pipeline import index_folders
from indexer.ingest.reindex import reindex
from indexer.ingest.walker import WalkOptions
from indexer.library.library import Library
from indexer.library.skipped_files import SKIPPED
from tests.fakes import COLOURS, ColourEncoder, CountingEncoder, draw


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Eight photos, four of them in a folder of their own."""
    root = tmp_path / "photos"
    for number, colour in enumerate(COLOURS):
        draw(root / ("trip" if number % 2 else "") / f"{colour}.png", colour)
    return root


def _index(library: Library, *folders: Path, prune: bool = False) -> IndexReport:
    encoder = CountingEncoder()
    report = index_folders(library, encoder, folders, options=IndexOptions(prune=prune))
    assert encoder.photos == report.photos, "known photos were embedded again"
    return report


def _names(library: Library) -> set[str]:
    """The photos that searches find."""
    (hits,) = library.search(ColourEncoder().encode_texts(["red"]), Kind.PHOTO, 99)
    return {record.path.name for record in library.records([hit.id for hit in hits])}


def _away(folder: Path) -> Path:
    """Unplug the drive of a folder, and leave its mount point; return where the drive is."""
    away = folder.rename(folder.parent.parent / f"{folder.name} unplugged")
    folder.mkdir()
    return away


def _back(folder: Path, away: Path) -> None:
    shutil.rmtree(folder)
    away.rename(folder)


@pytest.mark.parametrize("leftover", [".DS_Store", ".nomedia", "Thumbs.db", "new.png"])
def test_a_mount_point_without_its_drive_loses_nothing(
    library: Library, root: Path, leftover: str
) -> None:
    _index(library, root)
    away = _away(root)
    (root / leftover).touch()
    if leftover == "new.png":
        draw(root / leftover, "red", "blue")
    for _ in range(2):
        report = _index(library, root)
        assert (report.removed, [gap.files for gap in report.kept]) == (0, [8])
        assert report.kept[0].folder == root
    if leftover != "new.png":
        assert "is its drive plugged in?" in report.kept[0].reason
    assert len(_names(library) - {"new.png"}) == 8
    _back(root, away)
    report = _index(library, root)
    assert (report.photos, report.unchanged, report.kept) == (0, 8, ())
    assert report.removed == (leftover == "new.png")
    assert not library.catalog.missing()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_folder_on_a_drive_of_its_own(library: Library, root: Path, count: int) -> None:
    for photo in sorted((root / "trip").iterdir())[count:]:
        photo.unlink()
    _index(library, root)
    away = _away(root / "trip")
    report = _index(library, root)
    assert [(gap.folder, gap.files) for gap in report.kept] == [(root / "trip", count)]
    assert (report.removed, report.unchanged) == (0, 4)
    _back(root / "trip", away)
    assert (_index(library, root).unchanged, report.kept[0].files) == (4 + count, count)


def test_a_share_that_answers_with_an_empty_folder(library: Library, root: Path) -> None:
    _index(library, root)
    for photo in (root / "trip").iterdir():
        photo.unlink()
    report = _index(library, root)
    assert (report.removed, [gap.files for gap in report.kept]) == (0, [4])
    assert len(_names(library)) == 8
    report = _index(library, root, prune=True)
    assert (report.removed, report.kept, len(_names(library))) == (4, (), 4)


def test_a_deleted_folder_leaves(library: Library, root: Path) -> None:
    _index(library, root)
    shutil.rmtree(root / "trip")
    report = _index(library, root)
    assert (report.removed, report.kept) == (4, ())


def test_a_deleted_folder_in_a_folder_that_held_nothing_else(library: Library, root: Path) -> None:
    (root / "2019").mkdir()
    (root / "trip").rename(root / "2019" / "trip")
    _index(library, root)
    shutil.rmtree(root / "2019" / "trip")
    assert (_index(library, root).removed, len(_names(library))) == (4, 4)


@pytest.mark.parametrize("names", [["red"], ["red", "blue"], ["red", "blue", "green"]])
def test_single_photos_leave(library: Library, root: Path, names: list[str]) -> None:
    _index(library, root)
    for name in names:
        next(root.rglob(f"{name}.png")).unlink()
    report = _index(library, root)
    assert (report.removed, report.kept) == (len(names), ())


def test_a_tidied_up_folder_leaves(library: Library, root: Path) -> None:
    for photo in sorted((root / "trip").iterdir())[2:]:
        photo.unlink()
    _index(library, root)
    for photo in (root / "trip").iterdir():
        photo.unlink()
    report = _index(library, root)
    assert (report.removed, report.kept) == (2, ())


def test_a_large_share_that_is_gone_at_once_is_kept(library: Library, root: Path) -> None:
    _index(library, root)
    shutil.rmtree(root / "trip")
    sorted(root.iterdir())[0].unlink()
    report = _index(library, root)
    assert report.kept == (Gap(folder=root, reason="5 of its 8 files are gone at once", files=5),)
    # It does not become small because the library grows.
    for number in range(20):
        draw(root / f"new {number}.png", "red", size=(64, 65 + number))
    report = _index(library, root)
    assert (report.removed, sum(gap.files for gap in report.kept)) == (0, 5)
    assert {gap.reason for gap in report.kept} == {"still not found"}
    assert _index(library, root, prune=True).removed == 5


def test_moved_photos_are_no_loss(library: Library, root: Path) -> None:
    _index(library, root)
    (root / "trip").rename(root / "journey")
    for photo in root.glob("*.png"):
        photo.rename(root / "journey" / f"x-{photo.name}")
    report = _index(library, root)
    assert (report.moved, report.removed, report.kept) == (8, 0, ())


def test_photos_in_another_format_take_the_place_of_the_old(library: Library, root: Path) -> None:
    _index(library, root)
    for photo in (root / "trip").iterdir():
        with Image.open(photo) as image:
            image.save(photo.with_suffix(".jpg"))
        photo.unlink()
    report = _index(library, root)
    assert (report.photos, report.removed, report.kept) == (4, 4, ())


def test_what_is_passed_over_now_leaves(library: Library, root: Path) -> None:
    _index(library, root)
    (root / ".twinlensignore").write_text("/trip/\n")
    report = _index(library, root)
    assert (report.removed, report.kept) == (4, ())


def test_one_of_two_roots_is_away(library: Library, root: Path, tmp_path: Path) -> None:
    other = draw(tmp_path / "other" / "a.png", "red", "green").parent
    _index(library, root, other)
    away = _away(root)
    draw(other / "b.png", "red", "blue")
    report = _index(library, root, other)
    assert (report.photos, [(gap.folder, gap.files) for gap in report.kept]) == (1, [(root, 8)])
    root.rmdir()
    assert _index(library, root, other).kept[0].files == 8
    with pytest.raises(UsageError, match="is its drive plugged in"):
        _index(library, root)
    away.rename(root)
    assert _index(library, root, other).unchanged == 10


def test_an_emptied_root_leaves_if_that_is_said(library: Library, root: Path) -> None:
    _index(library, root)
    shutil.rmtree(root)
    root.mkdir()
    with pytest.raises(UsageError, match=f"twinlens index '{root}' --prune"):
        _index(library, root)
    assert _index(library, root, prune=True).removed == 8


def test_a_link_to_a_drive_that_is_away(library: Library, root: Path, tmp_path: Path) -> None:
    drive = draw(tmp_path / "mnt" / "drive" / "a.png", "red", "green").parent
    (root / "link").symlink_to(drive)
    _index(library, root)
    away = _away(drive)
    assert [gap.files for gap in _index(library, root).kept] == [1]
    _back(drive, away)
    assert _index(library, root).unchanged == 9
    (root / "link").unlink()
    assert _index(library, root).removed == 1


def test_errors_of_a_share_lose_nothing(
    library: Library, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look below a folder fails, at whatever call the error comes."""
    _index(library, root)
    trip, real = os.fspath(root / "trip"), {}

    def failing(name: str, error: int) -> object:
        def call(path: object = ".", *args: object, **kwargs: object) -> object:
            if isinstance(path, str | Path) and os.fspath(path).startswith(trip):
                raise OSError(error, os.strerror(error), os.fspath(path))
            return real[name](path, *args, **kwargs)

        return call

    for name in ("stat", "scandir", "open", "lstat"):
        real[name] = getattr(os, name)
        for error in (5, 116, 13):  # EIO, ESTALE, EACCES
            with monkeypatch.context() as patch:
                patch.setattr(os, name, failing(name, error))
                report = _index(library, root)
            assert (report.removed, len(_names(library))) == (0, 8), (name, error)
    assert _index(library, root).unchanged == 8


def test_a_drive_whose_mount_point_goes_with_it(tmp_path: Path) -> None:
    """As desktops do: /media/me/DRIVE exists only while the drive is plugged in."""
    here = draw(tmp_path / "me" / "a.png", "red").parent
    photo = str(here / "DRIVE" / "2019" / "b.png")
    held = KnownBefore(missing={1: photo}, present=[str(here / "a.png")])
    folders = {here / "DRIVE": FolderState(inode=2, mounted=True)}
    verdict = judged(held, [here], folders)
    assert (verdict.deleted, verdict.kept) == ([], [1])
    assert verdict.gaps[0].folder == here / "DRIVE"
    assert judged(held, [here], {}).deleted == [1]


def test_a_folder_on_another_device_is_noted(
    library: Library, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.stat

    def stat(path: Path, **kwargs: bool) -> os.stat_result:
        status = real(path, **kwargs)
        if path.name != "trip":
            return status
        return os.stat_result(
            (*status[:2], status.st_dev + 1, *status[3:10]),
            {
                "st_ctime_ns": status.st_ctime_ns,
                "st_mtime_ns": status.st_mtime_ns,
            },
        )

    monkeypatch.setattr(Path, "stat", stat)
    _index(library, root)
    assert library.catalog.folders()[root / "trip"].mounted
    assert not library.catalog.folders()[root].mounted


def test_what_is_not_there_is_not_reachable(tmp_path: Path) -> None:
    there, gone = draw(tmp_path / "a.png", "red"), tmp_path / "b.png"
    assert unreachable([there, gone]) == {gone}


def test_a_share_that_never_answers_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, stuck = draw(tmp_path / "a.png", "red"), tmp_path / "b.png"
    real, hold = os.path.exists, threading.Event()
    monkeypatch.setattr("indexer.core.file_access.PATIENCE", 0.2)
    monkeypatch.setattr(
        os.path, "exists", lambda path: hold.wait(60) if path == str(stuck) else real(path)
    )
    assert unreachable([there, stuck]) == {stuck}
    hold.set()


def test_an_older_library_learns_of_folders_without_losing_any(
    library: Library, root: Path
) -> None:
    _index(library, root)
    with library.writing():  # a library that was migrated knows none
        library.catalog.apply(Transaction(folders=dict.fromkeys(library.catalog.folders())))
    shutil.rmtree(root / "trip")
    (root / "trip").mkdir()
    assert [gap.files for gap in _index(library, root).kept] == [4]


def _hold_more(library: Library, root: Path, passed: str) -> None:
    """Let a library hold four photos of a folder that no walk enters, as older formats did."""
    for number, colour in enumerate(list(COLOURS)[:4]):
        draw(root / passed / f"{number}.png", colour, "purple")
    walk = WalkOptions(include_hidden=True, exclude_dirs=())
    index_folders(library, ColourEncoder(), [root], options=IndexOptions(walk=walk))
    assert library.counts()[Kind.PHOTO] == 12


@pytest.mark.parametrize("emptied", [True, False])
@pytest.mark.parametrize("passed", ["#recycle", "@eaDir/deep", ".hidden", "ignored"])
def test_what_no_walk_enters_is_forgotten_even_where_it_was_emptied(
    library: Library, root: Path, passed: str, *, emptied: bool
) -> None:
    _hold_more(library, root, passed)
    (root / ".twinlensignore").write_text("ignored/\n")
    for photo in (root / passed).iterdir() if emptied else ():
        photo.unlink()
    report = _index(library, root)
    assert (report.removed, report.kept) == (4, ())
    assert _names(library) == {f"{colour}.png" for colour in COLOURS}


@pytest.mark.parametrize("emptied", [True, False])
def test_reindex_leaves_trash_behind(tmp_path: Path, root: Path, *, emptied: bool) -> None:
    with Library.create(tmp_path / "library", ColourEncoder()) as library:
        _hold_more(library, root, "#recycle")
    for photo in (root / "#recycle").iterdir() if emptied else ():
        photo.unlink()
    assert reindex(tmp_path / "library", ColourEncoder(fingerprint="0ther")).photos == len(COLOURS)


def test_what_is_skipped_on_a_drive_is_known_when_the_drive_is_back(
    library: Library, root: Path
) -> None:
    (root / "trip" / "link.png").symlink_to(root / "nowhere.png")
    (root / "other.png").symlink_to(root / "nowhere.png")
    first = _index(library, root)
    assert (len(first.skipped), first.still) == (2, ())
    away = _away(root / "trip")
    while_away = _index(library, root)
    assert [skip.path.name for skip in while_away.skipped] == ["other.png"]
    assert (while_away.still, len(while_away.kept)) == (while_away.skipped, 1)
    _back(root / "trip", away)
    again = _index(library, root)
    assert (set(again.still), again.kept) == (set(first.skipped), ())


def test_forgetting_a_folder_forgets_what_was_noted_of_it(library: Library, root: Path) -> None:
    (root / "link.png").symlink_to(root / "nowhere.png")
    assert len(_index(library, root).skipped) == 1
    assert set(library.catalog.folders()) == {root, root / "trip"}
    assert library.forget(root) == len(COLOURS)
    assert library.catalog.folders() == {}
    assert library.view.noted(SKIPPED) == "{}"
    assert os.fsencode(root) not in (library.folder / "catalog.sqlite").read_bytes()

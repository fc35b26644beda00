"""One strange file never ends a run, hangs it, or lets the library seem broken."""

from __future__ import annotations

import os
import socket
import sqlite3
from pathlib import Path

import pytest

from indexer.catalog.connection import failure
from indexer.core.errors import FileUnreadable, LibraryDamaged, TwinlensError, UsageError
from indexer.core.file_access import date, read_regular, signed
from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.library.verify import check
from indexer.media.image import read_photo
from indexer.media.video import read_video
from indexer.metadata.extract import read_metadata
from tests.fakes import ColourEncoder, draw

ENCODER = ColourEncoder()


@pytest.mark.parametrize("seconds", [13_000_000_000, 9_300_000_000, -1, 0, -2_000_000_000])
def test_any_date(tmp_path: Path, seconds: int) -> None:
    photo = draw(tmp_path / "p" / "a.png", "red")
    sidecar = tmp_path / "p" / "a.xmp"
    sidecar.write_text("<x/>")
    for path in (photo, sidecar):
        os.utime(path, (seconds, seconds))
    with Library.create(tmp_path / "library", ENCODER) as library:
        assert index_folders(library, ENCODER, [photo.parent]).photos == 1
        report = index_folders(library, ENCODER, [photo.parent])
        assert (report.unchanged, report.skipped) == (1, ())
    assert check(tmp_path / "library") == []


def test_dates_and_inodes_fit_64_bits() -> None:
    assert (date(13 * 10**18), date(-(10**30)), date(-1)) == (2**63 - 1, -(2**63), -1)
    assert [signed(each) for each in (0, 7, 2**63, 2**64 - 1)] == [0, 7, -(2**63), -1]


def _fill(folder: Path) -> None:
    """What only looks like photos, texts, videos and sidecars."""
    for name in ("pipe.jpg", "pipe.txt", "pipe.mp4", "a.png.xmp"):
        os.mkfifo(folder / name)
    for name, target in (
        ("zero.jpg", "/dev/zero"),
        ("random.txt", "/dev/random"),
        ("log.jpg", "/proc/kmsg"),
        ("memory.jpg", "/proc/self/mem"),
        ("map.jpg", "/proc/self/pagemap"),
        ("environment.txt", "/proc/self/environ"),
        ("b.png.xmp", "/dev/zero"),
    ):
        (folder / name).symlink_to(target)
    (folder / "c.png.xmp").touch()
    os.truncate(folder / "c.png.xmp", 20_000_000)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    for name in "abc":
        draw(folder / f"{name}.png", "red")
    _fill(folder)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "socket.jpg"))
        with Library.create(tmp_path / "library", ENCODER) as library:
            report = index_folders(library, ENCODER, [folder])
    assert report.photos == 3
    reasons = {skip.path.name: skip.reason for skip in report.skipped}
    assert reasons["a.png.xmp"] == "not a regular file; the photo is indexed without it"
    assert reasons["b.png.xmp"] == "not a regular file; the photo is indexed without it"
    assert reasons["c.png.xmp"] == "larger than 16 MB; the photo is indexed without it"
    assert set(reasons) <= {
        *("a.png.xmp", "b.png.xmp", "c.png.xmp"),
        *("log.jpg", "memory.jpg", "map.jpg", "environment.txt"),
    }


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    pipe, photo = tmp_path / "pipe.mp4", draw(tmp_path / "a.png", "red")
    os.mkfifo(pipe)
    for read in (read_regular, lambda path: read_photo(path, size_hint=8)):
        with pytest.raises(FileUnreadable, match="not a regular file"):
            read(pipe)
    with pytest.raises(FileUnreadable):
        read_video(pipe, size_hint=8)
    assert read_metadata(photo, sidecar=pipe).width == 64


def test_a_file_that_tells_no_size_is_read_no_further() -> None:
    assert read_regular(Path("/proc/self/status")) == b""


@pytest.mark.parametrize(
    "name",
    ["a?b#c%20&mode=ro", "a\nb", "é日本", "'q\"", "-rf", "a:b", "x" * 255, ":memory:", "file:x"],
)
def test_a_library_of_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = draw(tmp_path / "p" / "red.png", "red").parent
    monkeypatch.chdir(tmp_path)
    for folder in (Path(name), Path(f"//{tmp_path}") / name):
        with Library.open_or_create(folder, ENCODER) as library:
            index_folders(library, ENCODER, [photos])
            (hits,) = library.search(ENCODER.encode_texts(["red"]), Kind.PHOTO, 1)
            assert library.records([hits[0].id])[0].path == photos / "red.png"
        assert check(folder) == []


def test_a_library_where_it_cannot_lie_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 200) / ("e" * 200) / ("f" * 200)
    with pytest.raises(UsageError, match="name a shorter one with --library"):
        Library.create(deep, ENCODER)
    latin = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    with pytest.raises(UsageError, match="is not UTF-8"):
        Library.create(latin, ENCODER)
    assert not deep.exists()


@pytest.mark.parametrize(
    ("error", "is_damage"),
    [
        (OverflowError("Python int too large to convert to SQLite INTEGER"), False),
        (UnicodeEncodeError("utf-8", "\udc80", 0, 1, "surrogates not allowed"), False),
        (sqlite3.OperationalError("Expression tree is too large"), False),
        (sqlite3.OperationalError("too many SQL variables"), False),
        (sqlite3.OperationalError("no such table: files"), True),
        (sqlite3.DatabaseError("database disk image is malformed"), True),
    ],
)
def test_only_damage_is_called_damage(tmp_path: Path, error: Exception, is_damage: bool) -> None:
    told = failure(tmp_path / "catalog.sqlite", error)
    assert isinstance(told, LibraryDamaged) == is_damage
    assert isinstance(told, TwinlensError)

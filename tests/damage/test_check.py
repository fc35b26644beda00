"""One test a kind of damage: `check` names it, `repair` mends it, the next run makes it whole."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from indexer.catalog import row_checksums
from indexer.catalog.reader import BROKEN
from indexer.core.errors import LibraryDamaged, LibraryMissing, TwinlensError
from indexer.core.types import Kind
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.library.verify import check, repair
from tests.fakes import COLOURS, GENERIC, ColourEncoder, draw

ENCODER = ColourEncoder(generic=GENERIC)
PAGE = 4096  # bytes of one of SQLite's
NAMES = sorted(f"{first}-{second}.png" for first in COLOURS for second in COLOURS)  # 64


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of 64 photos in one segment, 2 texts in another, and 2 newer photos in a third."""
    home = tmp_path_factory.mktemp("home")
    for name in NAMES:
        draw(home / "photos" / name, *name[:-4].split("-"), size=(16, 16))
    (home / "photos" / "notes.txt").write_text("a red car\na yellow sun\n")
    with Library.create(home / "library", ENCODER) as library:
        index_folders(library, ENCODER, [home / "photos"])
        for colour in ("red", "blue"):
            draw(home / "photos" / f"{colour}.png", colour, size=(16, 16))
        index_folders(library, ENCODER, [home / "photos"])
    return home


@pytest.fixture
def folder(original: Path) -> Iterator[Path]:
    """That library, whole again for each test; the photos are at the same place."""
    library, kept = original / "library", original / "kept"
    if not kept.exists():
        _copy(library, kept)
    yield library
    _copy(kept, library)


def _copy(source: Path, target: Path) -> None:
    """Make one folder a copy of another."""
    subprocess.run(["rm", "-rf", target], check=True)
    subprocess.run(["cp", "-a", source, target], check=True)


def _faults(folder: Path) -> dict[str, str]:
    """What check finds, by file name."""
    return {finding.path.name: finding.fault for finding in check(folder)}


def _again(folder: Path) -> int:
    """Index again; after that all is there, once, and whole. Count what was embedded."""
    with Library.open(folder) as library:
        report = index_folders(library, ENCODER, [folder.parent / "photos"])
        (hits,) = library.search(ENCODER.encode_texts(["red"]), Kind.PHOTO, 1_000)
        names = [record.path.name for record in library.records([hit.id for hit in hits])]
        assert sorted(names) == sorted([*NAMES, "blue.png", "red.png"])
        assert library.counts() == {Kind.PHOTO: 66, Kind.TEXT: 2}
    assert check(folder) == []
    return report.photos + report.texts


def _flip(path: Path, at: int) -> None:
    """Flip the lowest bit of a byte; from the end if `at` is below 0."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def _first(folder: Path, where: str, kind: str = "") -> Path:
    """The first file of a folder of the library."""
    return min((folder / where).glob(f"{kind}*"))


def test_a_whole_library_has_no_findings(folder: Path) -> None:
    assert check(folder) == []
    done = repair(folder)
    assert (done.mended, done.left, done.dropped) == ((), (), 0)
    assert _again(folder) == 0


def test_no_library(tmp_path: Path) -> None:
    with pytest.raises(LibraryMissing):
        check(tmp_path)


# Segments


@pytest.mark.parametrize("at", [-1, -200])
def test_a_bit_flipped_in_a_segment(folder: Path, at: int) -> None:
    path = _first(folder, "vectors")
    _flip(path, at)
    (finding,) = check(folder)
    assert finding.path == path
    assert finding.fault == (
        "is broken (its checksum does not match: the disk has changed some bits): "
        "64 photos have no vectors"
    )
    done = repair(folder)
    assert (done.mended, done.left, done.dropped) == ((finding,), (), 64)
    assert _again(folder) == 64


@pytest.mark.parametrize("size", [0, 60, -1])
def test_a_truncated_segment(folder: Path, size: int) -> None:
    path = max((folder / "vectors").iterdir())  # the two newest photos
    path.write_bytes(path.read_bytes()[:size])
    assert _faults(folder)[path.name].startswith("is broken")
    assert repair(folder).dropped == 2
    assert _again(folder) == 2


def test_a_missing_segment(folder: Path) -> None:
    _first(folder, "vectors").unlink()
    assert list(_faults(folder).values()) == ["is missing: 64 photos have no vectors"]
    assert repair(folder).dropped == 64
    assert _again(folder) == 64


def test_a_segment_of_before_checksums_is_judged_by_its_vectors(folder: Path) -> None:
    path = _first(folder, "vectors")
    tensors = load_file(path)
    save_file(tensors, path, metadata={"format": "1", "kind": "photo"})
    assert check(folder) == []
    tensors["vectors"][3, 0] = np.nan
    save_file(tensors, path, metadata={"format": "1", "kind": "photo"})
    assert "not finite" in _faults(folder)[path.name]
    tensors["vectors"][3] = 1.0
    save_file(tensors, path, metadata={"format": "1", "kind": "photo"})
    assert "not of unit length" in _faults(folder)[path.name]


# The saved index


def test_a_missing_index(folder: Path) -> None:
    path = _first(folder, "ann", "photo")
    data = path.read_bytes()
    path.unlink()
    assert _faults(folder) == {path.name: "is missing"}
    assert repair(folder).left == ()
    assert max((folder / "ann").glob("photo*")).stat().st_size > len(data)  # the newer ones too
    assert _again(folder) == 0


def test_a_bit_flipped_in_the_index(folder: Path) -> None:
    path = _first(folder, "ann", "photo")
    whole = path.read_bytes()
    for at in range(0, len(whole), 97):
        _flip(path, at)
        faults = _faults(folder)
        if faults:  # else a byte that no search reads: padding, or a flag of training
            assert set(faults) == {path.name}
        path.write_bytes(whole)
    code = whole.index(np.array([1, 0], np.float16).tobytes())  # a vector: red alone
    _flip(path, code + 1)
    assert _faults(folder) == {path.name: "does not match its segments"}
    assert repair(folder).left == ()
    assert _again(folder) == 0


# The catalog


def test_a_truncated_catalog(folder: Path) -> None:
    path = folder / "catalog.sqlite"
    whole = path.read_bytes()
    left = whole[: -PAGE // 2]  # its last page holds rows of files
    path.write_bytes(left)
    (finding,) = check(folder)
    assert (finding.path, finding.grave) == (path, True)
    done = repair(folder)
    assert done.left == ()
    assert (folder / BROKEN).read_bytes() == left
    assert _again(folder) < 40, "rows that can be read were not rescued"


def test_a_catalog_without_its_first_page_is_beyond_mending(folder: Path) -> None:
    (folder / "catalog.sqlite").write_bytes(b"no SQLite at all" * 512)
    with pytest.raises(LibraryDamaged, match=r"keep the folder concepts"):
        repair(folder)


def test_a_bit_flipped_in_the_catalog(folder: Path) -> None:
    path = folder / "catalog.sqlite"
    at = path.read_bytes().index(b"blue-green.png")
    _flip(path, at)
    assert "is broken" in _faults(folder)["catalog.sqlite"]
    assert repair(folder).left == ()
    assert _again(folder) <= 2 + 1  # the two texts, and that photo if its path was not mended


def test_an_item_without_its_vector(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection, connection:
        connection.execute("UPDATE items SET id = 10000 WHERE id = 5")
        row_checksums.seal_all(connection)  # as if it had been written so
    assert _faults(folder) == {"catalog.sqlite": "and the segments differ in 2 photos"}
    assert repair(folder).dropped == 1
    assert _again(folder) == 1


# Banks, leftovers


def test_a_bit_flipped_in_the_banks(folder: Path) -> None:
    path = folder / "banks.safetensors"
    _flip(path, -1)
    (finding,) = repair(folder).left
    assert finding.path == path
    assert finding.remedy.startswith("searches still work")


def test_leftovers_are_no_damage(folder: Path) -> None:
    for name in ("vectors/000099.safetensors", "ann/photo-000099.faiss", "vectors/x.part"):
        (folder / name).write_bytes(b"half")
    findings = check(folder)
    assert [finding.grave for finding in findings] == [False] * 3
    assert repair(folder).mended == tuple(findings)
    assert check(folder) == []


# The disk


def _draw_more(folder: Path, count: int) -> Path:
    """Photos that the library does not hold yet."""
    for number in range(count):
        draw(folder / f"{number}.bmp", "red", "green", size=(16 + number, 16))
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 600 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", disk]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_loses_nothing_that_was_kept(small_disk: Path, tmp_path: Path) -> None:
    photos = _draw_more(tmp_path / "photos", 8)
    options = IndexOptions(commit_every=4)
    with Library.create(small_disk / "library", ENCODER) as library:
        index_folders(library, ENCODER, [photos], options=options)
        _draw_more(photos / "more", 40)
        (small_disk / "filler").write_bytes(b"\0" * _free(small_disk))
        with pytest.raises(TwinlensError, match=r"cannot (write|use) .*; ?see|cannot write|full"):
            index_folders(library, ENCODER, [photos], options=options)
        assert library.counts()[Kind.PHOTO] >= 8
        (hits,) = library.search(ENCODER.encode_texts(["red"]), Kind.PHOTO, 100)
        assert len(hits) >= 8
    (small_disk / "filler").unlink()
    assert [finding for finding in check(small_disk / "library") if finding.grave] == []
    with Library.open(small_disk / "library") as library:
        assert index_folders(library, ENCODER, [photos]).skipped == ()
        assert library.counts()[Kind.PHOTO] == 48
    assert check(small_disk / "library") == []


def test_a_library_on_a_full_disk_is_opened_and_searched(small_disk: Path, tmp_path: Path) -> None:
    photos = _draw_more(tmp_path / "photos", 8)
    with Library.create(small_disk / "library", ENCODER) as library:
        index_folders(library, ENCODER, [photos])
    _draw_more(photos / "more", 8)
    (small_disk / "filler").write_bytes(b"\0" * _free(small_disk))
    with Library.open(small_disk / "library") as library:
        (hits,) = library.search(ENCODER.encode_texts(["red"]), Kind.PHOTO, 100)
        assert len(hits) == 8
        with pytest.raises(TwinlensError, match=r"cannot use .*: the disk is full; check the disk"):
            index_folders(library, ENCODER, [photos])
    (small_disk / "filler").unlink()
    with Library.open(small_disk / "library") as library:
        assert index_folders(library, ENCODER, [photos]).photos == 8


def _free(disk: Path) -> int:
    """Bytes that a disk has left."""
    stat = os.statvfs(disk)
    return stat.f_bavail * stat.f_bsize


LIMITED = """
import resource, sys
from pathlib import Path
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.pipeline import index_folders
from indexer.core.errors import TwinlensError
from indexer.library.library import Library
from tests.fakes import ColourEncoder

with Library.open(Path(sys.argv[1])) as library:
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
    try:
        index_folders(library, ColourEncoder(), [Path(sys.argv[2])])
    except TwinlensError as error:
        print(error)
"""


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    photos, folder = _draw_more(tmp_path / "photos", 4), tmp_path / "library"
    with Library.create(folder, ColourEncoder()) as library:
        index_folders(library, ColourEncoder(), [photos])
    _draw_more(photos / "more", 60)
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    run = [sys.executable, "-c", LIMITED, folder, photos]
    done = subprocess.run(run, env=env, capture_output=True, text=True, check=True)
    assert "cannot" in done.stdout, done
    assert [finding for finding in check(folder) if finding.grave] == []
    with Library.open(folder) as library:
        index_folders(library, ColourEncoder(), [photos])
        assert library.counts()[Kind.PHOTO] == 64


def test_a_read_only_disk_is_searched_and_checked_but_not_written(
    as_a_user: Path, original: Path
) -> None:
    folder = as_a_user / "library"
    photo = draw(as_a_user / "photos" / "red.png", "red")
    with Library.create(folder, ENCODER) as library:
        index_folders(library, ENCODER, [photo.parent])
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert check(folder) == []
    with Library.open(folder) as library:
        (hits,) = library.search(ENCODER.encode_texts(["red"]), Kind.PHOTO, 9)
        assert len(hits) == 1
        with pytest.raises(TwinlensError, match="cannot write to"):
            index_folders(library, ENCODER, [photo.parent])
    with pytest.raises(TwinlensError, match="cannot write to"):
        repair(folder)


def test_findings_are_plain_values(folder: Path) -> None:
    _first(folder, "ann").unlink()
    (finding,) = check(folder)
    values = {**vars(finding), "path": str(finding.path)}
    assert json.loads(json.dumps(values)) == values

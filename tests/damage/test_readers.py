"""Searches never wait, and never fail, beside a writer or where they may not write."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.catalog.connection import failure
from indexer.core.errors import LibraryDamaged
from indexer.core.filters import HasTag
from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.library.verify import check
from tests.fakes import GENERIC, ColourEncoder, draw

ROOT = Path(__file__).parents[2]
ENCODER = ColourEncoder(generic=GENERIC)


def _library(home: Path) -> Path:
    """A library of one photo."""
    draw(home / "photos" / "red.png", "red")
    with Library.create(home / "library", ENCODER) as library:
        index_folders(library, ENCODER, [home / "photos"])
    return home / "library"


def _close(folder: Path) -> None:
    """Take the right to write from everybody."""
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def _opened(folder: Path) -> None:
    """Give it back."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _names(library: Library) -> set[str]:
    """The photos that a search finds."""
    (hits,) = library.search(ENCODER.encode_texts(["red"]), Kind.PHOTO, 99)
    records = library.records([hit.id for hit in hits])
    assert len(records) == len(hits) == library.counts()[Kind.PHOTO]
    return {record.path.name for record in records}


def _killed(folder: Path, home: Path) -> Path:
    """A library whose writer was killed: the last commit is in SQLite's log alone."""
    copy = home / "killed"
    draw(home / "photos" / "green.png", "green")
    with Library.open(folder) as library, library.writing():
        index_folders(library, ENCODER, [home / "photos"])
        shutil.copytree(folder, copy)
    assert (copy / "catalog.sqlite-wal").stat().st_size
    (copy / "catalog.sqlite-shm").unlink()
    return copy


def test_what_a_killed_writer_left_is_searched_where_nobody_may_write(as_a_user: Path) -> None:
    folder = _killed(_library(as_a_user), as_a_user)
    _close(folder)
    with Library.open(folder) as library:
        assert _names(library) == {"red.png", "green.png"}
        assert library.info().photos == 2
        assert library.search(
            ENCODER.encode_texts(["red"]), Kind.PHOTO, 9, where=HasTag(name="x")
        ) == [[]]
    assert check(folder) == []
    assert not (folder / "catalog.sqlite-shm").exists()


def test_a_reader_that_may_not_write_sees_each_new_commit(as_a_user: Path) -> None:
    folder = _library(as_a_user)
    _close(folder)
    with Library.open(folder) as reader:
        assert _names(reader) == {"red.png"}
        assert reader.info().photos == 1
        for name in ("green", "blue"):
            draw(as_a_user / "photos" / f"{name}.png", name)
            _opened(folder)
            with Library.open(folder) as writer:
                index_folders(writer, ENCODER, [as_a_user / "photos"])
            _close(folder)
            assert f"{name}.png" in _names(reader)
            assert reader.info().photos == reader.counts()[Kind.PHOTO]
            assert len(reader.catalog.newest(Kind.PHOTO, HasTag(name="x"), 9)) == 0


WRITER = """
import sys
from pathlib import Path
from indexer.library.batch import IndexBatch
from indexer.library.library import Library

folder = Path(sys.argv[1])
for number in range(int(sys.argv[2])):
    with Library.open(folder) as library:
        library.commit(IndexBatch(roots=[Path(f"/somewhere/{number}")]))
"""


def test_a_reader_that_may_not_write_never_fails_beside_a_writer(as_a_user: Path) -> None:
    folder = _library(as_a_user)
    folder.chmod(0o755)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WRITER, folder, "60"]
    with subprocess.Popen(command, env=env) as writer:  # may write: its own rights are whole
        folder.chmod(0o555)
        searches = 0
        with Library.open(folder) as long_open:
            while writer.poll() is None:
                with Library.open(folder) as library:
                    assert _names(library) == {"red.png"}
                assert _names(long_open) == {"red.png"}
                searches += 1
            assert writer.returncode == 0
            folders = set(long_open.catalog.roots())
    folder.chmod(0o755)
    assert searches > 10
    assert Path("/somewhere/59") in folders


@pytest.mark.parametrize(
    "question",
    [
        f"SELECT 1 WHERE {' OR '.join(['1'] * 2_000)}",  # "Expression tree is too large"
        f"SELECT {', '.join(['1'] * 3_000)}",  # "too many columns in result set"
        "SELECT " + "(" * 500 + "1" + ")" * 500,  # "parser stack overflow"
        "SELECT zeroblob(10000000000)",  # "string or blob too big"
    ],
)
def test_what_a_question_asks_too_much_is_no_damage(tmp_path: Path, question: str) -> None:
    with pytest.raises(sqlite3.Error) as caught:
        sqlite3.connect(":memory:").execute(question).fetchall()
    assert not isinstance(failure(tmp_path / "catalog.sqlite", caught.value), LibraryDamaged)


def test_a_number_too_large_for_sqlite_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(OverflowError) as caught:
        sqlite3.connect(":memory:").execute("SELECT ?", (2**63,))
    assert not isinstance(failure(tmp_path / "catalog.sqlite", caught.value), LibraryDamaged)

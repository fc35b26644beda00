"""A library that format 5 wrote must open for ever, with checksums, words and what is missing."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from indexer.catalog.changes import FolderState
from indexer.core.types import Kind, Skip
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.library.skipped_files import SKIPPED, SkippedFiles
from indexer.library.verify import check, repair
from retrieval.search import Searcher
from tests.fakes import ColourEncoder, draw

GOLDEN = Path(__file__).parent / "library-5"
ROOT = Path("/srv/photos")
FLAG, TOWER = ROOT / "Italy 2019" / "flag.jpg", ROOT / "usb" / "hata.jpg"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "library"))


def test_it_opens_and_is_whole(library: Path) -> None:
    assert check(library) == []
    with Library.open(library) as opened:
        info = opened.info()
        assert (info.format, info.photos, info.videos, info.frames) == (5, 3, 1, 3)
        assert (info.texts, info.skipped, info.folders) == (2, 0, (ROOT,))


def test_it_knows_what_is_missing_and_what_was_skipped(library: Path) -> None:
    with Library.open(library) as opened:
        (missing,) = opened.catalog.missing()
        assert opened.catalog.paths([missing]) == {missing: TOWER}
        known = opened.catalog.known([FLAG])[FLAG]
        assert (known.ctime_ns, known.inode) == (1_700_000_001_000_000_002, 1_002)
        assert (known.sample, known.missing) == (b"f" * 16, None)
        assert opened.catalog.folders() == {
            ROOT: FolderState(inode=900, mounted=False),
            FLAG.parent: FolderState(inode=901, mounted=False),
            TOWER.parent: FolderState(inode=2, mounted=True),
        }
        noted = SkippedFiles(opened.view.noted(SKIPPED))
    assert Skip(path=ROOT / "closed.jpg", reason="permission denied") in noted


@pytest.mark.parametrize(
    ("query", "path"),
    [
        *(("tag:E\u0301TOILE", FLAG), ("tag:HOLIDAY", FLAG), ("in:italy type:jpg", FLAG)),
        *(("red near:Rome,5", FLAG), ("red camera:x100", FLAG)),
    ],
)
def test_its_filters_find(library: Path, query: str, path: Path) -> None:
    with Library.open(library) as opened:
        hits = Searcher(opened, ColourEncoder()).search(query)
    assert [hit.path for hit in hits] == [path]


@pytest.mark.parametrize(("words", "path"), [("harbours", FLAG), ("東京", TOWER), ("赤い", TOWER)])
def test_its_words_are_found(library: Path, words: str, path: Path) -> None:
    with Library.open(library) as opened:
        ((id_, _),) = opened.word_matches(words, Kind.PHOTO, 9)
        assert [record.path for record in opened.records([id_])] == [path]


def test_it_grows(library: Path, tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "red.png", "red")
    with Library.open(library) as opened:
        assert index_folders(opened, ColourEncoder(), [tmp_path / "photos"]).photos == 1
        assert (opened.info().format, opened.info().photos) == (6, 4)
    assert [finding.path.name for finding in check(library)] == []


def test_a_broken_page_loses_nothing_that_its_checksums_prove(library: Path) -> None:
    with closing(sqlite3.connect(library / "catalog.sqlite")) as connection, connection:
        connection.execute("UPDATE photos SET caption = 'other' WHERE file_id = 2")
    assert [finding.grave for finding in check(library)] == [True]
    assert repair(library).dropped == 1  # the one photo
    assert check(library) == []
    with Library.open(library) as opened:
        assert opened.catalog.missing() != set()
        assert opened.info().photos == 2


@pytest.mark.parametrize("format_", [1, 2, 3, 4])
def test_older_formats_become_it_with_checksums_that_fit(tmp_path: Path, format_: int) -> None:
    older = Path(shutil.copytree(GOLDEN.with_name(f"library-{format_}"), tmp_path / "library"))
    with Library.open(older) as opened, opened.writing():
        pass
    assert check(older) == []
    with Library.open(older) as opened:
        assert opened.info().format == 6
        assert opened.catalog.folders() == {}

"""A library that format 3 wrote must open for ever, with what its photos said about themselves."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import pytest

from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.library.repair import rescue
from retrieval.search import Searcher
from tests.fakes import ColourEncoder, draw

GOLDEN = Path(__file__).parent / "library-3"
FLAG = Path("/srv/photos/Italy 2019/flag.png")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "library"))


def test_it_opens_and_knows_what_its_photos_said(library: Path) -> None:
    with Library.open(library) as opened:
        info = opened.info()
        assert (info.format, info.photos, info.texts, info.dim) == (3, 4, 2, 9)
        assert (info.described.placed, info.described.cameras) == (1, (("Fujifilm X100V", 1),))
        (hit,) = Searcher(opened, ColourEncoder()).search("tag:holiday")
    assert hit.path == FLAG
    assert hit.about.taken == datetime(2019, 7, 14, 18, 3, 11)
    assert (hit.about.rating, hit.about.keywords) == (4, ("Holiday",))
    assert (hit.about.caption, hit.about.place) == ("A flag over the harbour", "Rome, Italy")


@pytest.mark.parametrize(
    "query",
    ["red after:2019 before:2020", "red camera:x100", "red near:Rome,5", "red in:italy"],
)
def test_its_filters_find(library: Path, query: str) -> None:
    with Library.open(library) as opened:
        (hit,) = Searcher(opened, ColourEncoder()).search(query, top=1)
    assert hit.path == FLAG


def test_its_words_are_found(library: Path) -> None:
    with Library.open(library) as opened:
        for words in ("harbours", "holiday", "rome"):
            ((id_, _),) = opened.catalog.word_matches(words, Kind.PHOTO, 9)
            assert opened.records([id_])[0].path == FLAG


def test_it_is_measured_by_its_own_banks(library: Path) -> None:
    # As in format 2: "yellow white" and "black red" of the six generic texts are near the flag.
    flag = 0.5**0.5 - 0.25 * (0.5 + 0.5) / 6
    with Library.open(library) as opened:
        (hit,) = Searcher(opened, ColourEncoder()).search("yellow", top=1)
        (text,) = Searcher(opened, ColourEncoder()).search(
            "red", kind=Kind.TEXT, top=1, words=False
        )
    assert (hit.path, hit.score) == (FLAG, pytest.approx(flag, abs=1e-3))
    assert (text.text, text.score) == ("a red house", 1.0)


def test_it_grows(library: Path, tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "red.png", "red")
    with Library.open(library) as opened:
        assert index_folders(opened, ColourEncoder(), [tmp_path / "photos"]).photos == 1
        assert (opened.info().format, opened.info().photos) == (6, 5)
        hits = Searcher(opened, ColourEncoder()).search("red in:photos type:png", top=0)
    assert len(hits) == 5


def test_it_is_rescued_into_the_format_of_today(library: Path) -> None:
    assert rescue(library) == 1  # its text: whether all passages are there cannot be told
    with Library.open(library) as opened:
        assert (opened.info().format, opened.info().photos) == (6, 4)
        (hit,) = Searcher(opened, ColourEncoder()).search("yellow", top=1)
    assert hit.path == FLAG

"""A library that format 2 wrote must open for ever, with the banks it was made with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from indexer.core.errors import UsageError
from indexer.core.types import Kind, Metadata
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval.search import Searcher
from tests.fakes import ColourEncoder, draw

GOLDEN = Path(__file__).parent / "library-2"

# Of the six generic texts, "yellow white" and "black red" have a cosine of 1/2 with the flag of
# yellow and black, the others none; all six count, as k is 16.
FLAG = 0.5**0.5 - 0.25 * (0.5 + 0.5) / 6


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "library"))


def test_it_opens_and_finds_what_it_held(library: Path) -> None:
    with Library.open(library) as opened:
        info = opened.info()
        assert (info.format, info.photos, info.texts, info.dim) == (2, 4, 2, 9)
        assert info.hubness == (Kind.PHOTO, Kind.TEXT)
        searcher = Searcher(opened, ColourEncoder())
        (flag,) = searcher.search("yellow", top=1)
        (plain,) = searcher.search("yellow", top=1, hubness=False)
        (text,) = searcher.search("red", kind=Kind.TEXT, top=1)
    assert (flag.path, flag.score) == (Path("/srv/photos/flag.png"), pytest.approx(FLAG, abs=1e-3))
    assert plain.score == pytest.approx(0.5**0.5, abs=1e-3)
    assert (text.text, text.score) == ("a red house", 1.0)


def test_until_it_grows_it_knows_no_words_and_no_filters(library: Path) -> None:
    with Library.open(library) as opened:
        assert opened.catalog.word_matches("flag", Kind.PHOTO, 9) == []
        with pytest.raises(UsageError, match="has no dates, places and words yet; add"):
            Searcher(opened, ColourEncoder()).search("yellow type:png")
        (hit,) = Searcher(opened, ColourEncoder()).search("yellow", top=1)
    assert hit.about == Metadata()


def test_it_grows_in_the_format_of_today(library: Path, tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "flag.png", "black", "yellow")
    with Library.open(library) as opened:
        index_folders(opened, ColourEncoder(), [tmp_path / "photos"])
        assert (opened.info().format, opened.info().photos) == (6, 5)
        assert len(opened.catalog.word_matches("flag", Kind.PHOTO, 9)) == 2
        assert len(opened.catalog.word_matches("red house", Kind.TEXT, 9)) == 1
        (new,) = Searcher(opened, ColourEncoder()).search("yellow orientation:square")
    assert new.path == tmp_path / "photos" / "flag.png"


def test_what_comes_is_measured_by_its_own_banks(library: Path, tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "flag.png", "black", "yellow")
    encoder = ColourEncoder()  # it has no banks any more
    with Library.open(library) as opened:
        index_folders(opened, encoder, [tmp_path / "photos"])
        hits = Searcher(opened, encoder).search("yellow", top=2, words=False)
    assert hits[1].path == tmp_path / "photos" / "flag.png"
    assert [hit.score for hit in hits] == pytest.approx([FLAG] * 2, abs=1e-3)

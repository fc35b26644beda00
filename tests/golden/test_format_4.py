"""A library that format 4 wrote must open for ever, with its videos and companions."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval.search import Searcher
from tests.fakes import ColourEncoder, draw

GOLDEN = Path(__file__).parent / "library-4"
FLAG, BOAT = Path("/srv/photos/Italy 2019/flag.jpg"), Path("/srv/photos/Italy 2019/boat.mp4")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "library"))


def test_it_opens_and_knows_what_belongs_together(library: Path) -> None:
    with Library.open(library) as opened:
        info = opened.info()
        assert (info.format, info.photos, info.videos, info.frames) == (4, 2, 1, 3)
        (hit,) = Searcher(opened, ColourEncoder()).search("tag:holiday")
    assert (hit.path, hit.time, hit.about.also) == (FLAG, None, ("flag.raf", "flag.mov"))
    assert (hit.about.place, hit.about.rating) == ("Rome, Italy", 4)


def test_its_frames_are_found_at_their_time(library: Path) -> None:
    with Library.open(library) as opened:
        searcher = Searcher(opened, ColourEncoder())
        (hit,) = searcher.search("purple", top=1)
        frames = searcher.search("in:italy type:video", top=0, frames=True)
        (video,) = searcher.search("in:italy type:video", top=0)
    assert (hit.path, hit.time, hit.where) == (BOAT, 72.5, f"{BOAT} @ 1:12")
    assert [frame.time for frame in frames] == [2.0, 7.0, 72.5]
    assert (video.rank, video.time, video.about.title) == (1, 2.0, "The boat")


def test_its_words_are_found(library: Path) -> None:
    with Library.open(library) as opened:
        assert len(opened.catalog.word_matches("boat", Kind.PHOTO, 9)) == 3
        assert len(opened.catalog.word_matches("harbours", Kind.PHOTO, 9)) == 1


def test_it_grows(library: Path, tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "red.png", "red")
    with Library.open(library) as opened:
        assert index_folders(opened, ColourEncoder(), [tmp_path / "photos"]).photos == 1
        assert (opened.info().format, opened.info().photos) == (6, 3)

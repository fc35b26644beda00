"""A library that format 1 wrote must open for ever. Photos of one colour, paths as they were."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval.search import Searcher
from tests.fakes import GENERIC, ColourEncoder, draw

GOLDEN = Path(__file__).parent / "library-1"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "library"))


def test_it_opens_and_finds_what_it_held(library: Path) -> None:
    encoder = ColourEncoder()
    with Library.open(library) as opened:
        info = opened.info()
        assert info.hubness == ()
        assert (info.format, info.photos, info.texts, info.dim) == (1, 4, 2, 9)
        searcher = Searcher(opened, encoder)
        photos = [(hit.path, round(hit.score, 3)) for hit in searcher.search("yellow", top=2)]
        texts = [(hit.text, hit.score) for hit in searcher.search("red", kind=Kind.TEXT, top=1)]
    assert photos[0] == (Path("/srv/photos/flag.png"), 0.707)
    assert texts == [("a red house", 1.0)]


def test_it_grows_without_the_correction(library: Path, tmp_path: Path) -> None:
    encoder = ColourEncoder(generic=GENERIC)
    draw(tmp_path / "photos" / "red.png", "red")
    queries = encoder.encode_texts(["red"])
    with Library.open(library) as opened:
        assert index_folders(opened, encoder, [tmp_path / "photos"]).photos == 1
        assert (opened.info().format, opened.info().photos) == (6, 5)
        assert opened.info().hubness == ()
        corrected, plain = (
            opened.search(queries, Kind.PHOTO, 9, alpha=alpha) for alpha in (0.5, 0.0)
        )
        hits = Searcher(opened, encoder).search("red", top=2, words=False)
    assert corrected == plain
    assert [hit.score for hit in hits] == [1.0, 1.0]
    assert hits[1].path == tmp_path / "photos" / "red.png"
    assert not (library / "banks.safetensors").exists()


def test_its_saved_index_is_not_needed(library: Path) -> None:
    shutil.rmtree(library / "ann")
    with Library.open(library) as opened:
        hits = Searcher(opened, ColourEncoder()).search("green", top=1)
    assert [hit.path for hit in hits] == [Path("/srv/photos/green.png")]

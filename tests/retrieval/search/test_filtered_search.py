"""Search among some: filters before the vectors, order, pages, and words beside the embedding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from indexer.core.errors import LibraryDamaged, TwinlensError
from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval._enums import SortOrder
from retrieval.errors import QueryInvalid
from retrieval.search import Hit, Searcher, parse_query
from retrieval.search.filter_syntax import MOST_FILTERS
from tests.fakes import COLOURS, ColourEncoder

TAKEN, EXIF, DESCRIPTION = 0x9003, 0x8769, 0x010E


def photo(path: Path, *colours: str, taken: str = "", caption: str = "") -> Path:
    """Draw a photo of stripes that says when it was taken and what is on it."""
    exif = Image.Exif()
    exif[DESCRIPTION] = caption
    if taken:
        exif.get_ifd(EXIF)[TAKEN] = taken
    image = Image.new("RGB", (64, 64))
    for row, colour in enumerate(colours):
        image.paste(COLOURS[colour], (0, 64 * row // len(colours), 64, 64))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=exif)
    return path


@pytest.fixture
def searcher(tmp_path: Path) -> Iterator[Searcher]:
    """Twenty red photos of 2000 to 2019, a blue one of 2005, and one that says nothing."""
    folder = tmp_path / "photos"
    for year in range(2000, 2020):
        caption = "Grandma at sea" if year == 2007 else ""
        taken = f"{year}:05:01 12:00:00"
        photo(folder / "red" / f"{year}.png", "red", taken=taken, caption=caption)
    photo(folder / "blue.png", "blue", taken="2005:06:01 12:00:00")
    photo(folder / "green.png", "green")
    with Library.create(tmp_path / "library", ColourEncoder()) as library:
        index_folders(library, ColourEncoder(), [folder])
        yield Searcher(library, ColourEncoder())


def names(hits: list[Hit]) -> list[str]:
    return [hit.path.stem for hit in hits]


def test_k_come_back_whenever_k_match(searcher: Searcher) -> None:
    # Blue is the worst answer to "red" and comes first among those of that summer.
    assert names(searcher.search("red after:2005-06 before:2005-07", top=3)) == ["blue"]
    assert names(searcher.search("blue after:2018", top=2)) == ["2018", "2019"]
    assert names(searcher.search("red in:red before:2003", top=9)) == ["2000", "2001", "2002"]


def test_filters_alone_list_the_newest_first(searcher: Searcher) -> None:
    hits = searcher.search("before:2003")
    assert names(hits) == ["2002", "2001", "2000"]
    assert [(hit.rank, hit.score) for hit in hits] == [(1, 0.0), (2, 0.0), (3, 0.0)]


def test_all_that_match(searcher: Searcher) -> None:
    assert len(searcher.search("red", top=0)) == 22
    assert len(searcher.search("red after:2010", top=0)) == 10


def test_pages_join_without_gap_or_overlap(searcher: Searcher) -> None:
    whole = searcher.search("red", top=0)
    pages = [hit for start in (0, 7, 14, 21) for hit in searcher.search("red", top=7, offset=start)]
    assert [(hit.rank, hit.id) for hit in pages] == [(hit.rank, hit.id) for hit in whole]


def test_by_date(searcher: Searcher) -> None:
    hits = searcher.search("red", top=0, sort=SortOrder.DATE)
    assert names(hits)[:3] == ["2019", "2018", "2017"]
    assert names(hits)[-1] == "green"  # it has no date
    assert [hit.rank for hit in hits] == list(range(1, 23))


def test_words_of_a_caption_put_a_photo_first(searcher: Searcher) -> None:
    # ColourEncoder knows no grandma: to it all photos are alike.
    assert names(searcher.search("Grandma", top=1)) == ["2007"]
    assert names(searcher.search("Grandma", top=1, words=False)) == ["blue"]  # the first indexed


def test_words_that_nothing_holds_change_nothing(searcher: Searcher) -> None:
    fused, plain = (searcher.search("a purple sky", top=0, words=each) for each in (True, False))
    assert [(hit.id, hit.score) for hit in fused] == [(hit.id, hit.score) for hit in plain]


def test_words_keep_to_the_filter(searcher: Searcher) -> None:
    assert "2007" not in names(searcher.search("Grandma after:2010", top=0))


def test_a_photo_looks_among_some(searcher: Searcher, tmp_path: Path) -> None:
    asked = photo(tmp_path / "query.png", "red")
    query = parse_query(asked, filters=[("before", "2001")])
    assert names(searcher.search(query)) == ["2000"]


def test_texts_have_no_date(searcher: Searcher) -> None:
    assert searcher.search("red after:2000", kind=Kind.TEXT) == []


@pytest.mark.parametrize("written", ["tag:a", "near:Rome", "-in:x", "camera:x", "after:2019"])
def test_a_filter_that_is_repeated_counts_once(searcher: Searcher, written: str) -> None:
    once = searcher.search(f"red {written}", top=0)
    assert searcher.search("red " + f"{written} " * 500, top=0) == once


@pytest.mark.parametrize(
    "written", ["-tag:{}", "-near:{},{},5", "in:{}", "-camera:{}", "-after:19{:02}", "-in:/{}"]
)
def test_many_filters_are_few_enough_for_sqlite(searcher: Searcher, written: str) -> None:
    numbers = range(MOST_FILTERS if "{:" not in written else 99)
    searcher.search("red " + " ".join(written.format(n % 90, n) for n in numbers), top=0)


def test_too_many_filters_are_refused(searcher: Searcher) -> None:
    with pytest.raises(QueryInvalid, match="101 different filters are too many; use at most 100"):
        searcher.search("red " + " ".join(f"-tag:{number}" for number in range(101)))
    with pytest.raises(QueryInvalid, match="has 5,000 characters; use at most 4096"):
        searcher.search("red tag:" + "a" * 5_000)
    words = " ".join(f"{number:x}" for number in range(1_000))
    with pytest.raises(TwinlensError, match="the library itself is intact") as error:
        searcher.search(f'red -camera:"{words}"')
    assert not isinstance(error.value, LibraryDamaged)

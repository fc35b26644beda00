"""All that matches: how many, and their ids, as a search for all hits returns them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

import retrieval
from retrieval import PhotoLibrary
from tests.clips import clip, scene
from tests.fakes import COLOURS, GENERIC, ColourEncoder, draw

PHOTOS = 60


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhotoLibrary]:
    """Sixty photos of two colours each, and a film of three frames, with generic colours beside."""
    home = tmp_path_factory.mktemp("matching")
    chosen, colours = random.Random(0), list(COLOURS)
    for number in range(PHOTOS):
        suffix = ("jpg", "png")[number % 2]
        first, second = chosen.choices(colours, k=2)
        draw(home / "photos" / f"{number:02}.{suffix}", first, second, size=(64 + number, 64))
    clip(home / "photos" / "film.mp4", [(scene(each, "white"), 5.0) for each in colours[:3]])
    with pytest.MonkeyPatch.context() as patch:
        encoder = ColourEncoder(name="builtin", generic=GENERIC)
        for place in ("models.registry.load_encoder", "runtime.select_encoder.quick_encoder"):
            patch.setattr(f"retrieval.{place}", lambda *_, **__: encoder)
        with PhotoLibrary.open(home / "library") as opened:
            opened.index(home / "photos")
            yield opened


QUERIES = ("type:jpg", "type:video", "-type:jpg", "red", "green + blue - red", "red type:png")


@pytest.mark.parametrize("query", QUERIES)
def test_it_is_what_a_search_for_all_returns(library: PhotoLibrary, query: str) -> None:
    every = [hit.id for hit in library.search(query, k=0)]
    assert 0 < len(every) <= PHOTOS + 1
    assert library.count(query) == retrieval.MatchCount(count=len(every), exact=True)
    paged: list[int] = []
    offset: int | None = 0
    while offset is not None:
        page = library.ids(query, limit=7, offset=offset)
        paged, offset = [*paged, *page.ids], page.next
    assert paged == every
    assert library.ids(query).ids == tuple(every)
    assert (library.ids(query).total, library.ids(query).complete) == (len(every), True)


def test_nothing_that_matches_is_none(library: PhotoLibrary) -> None:
    assert library.count("camera:x100") == retrieval.MatchCount(count=0, exact=True)
    found = library.ids("camera:x100")
    assert (found.ids, found.total, found.next) == ((), 0, None)


def test_frames_count_one_by_one_where_they_are_asked_for(library: PhotoLibrary) -> None:
    assert library.count("type:video", frames=True).count == library.info().frames == 3
    assert len(library.ids("type:video", frames=True).ids) == library.info().frames


def test_more_than_are_looked_for_are_at_least_so_many(
    library: PhotoLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert library.count("red").count == PHOTOS + 1
    for name in ("_FIRST", "MOST_IDS"):
        monkeypatch.setattr(f"retrieval.search.matching_ids.{name}", 2)
    # A search looks for fifty hits at least.
    assert library.count("red") == retrieval.MatchCount(count=50, exact=False)


@pytest.mark.parametrize("limit", [0, 16_385])
def test_a_page_has_so_many_ids(library: PhotoLibrary, limit: int) -> None:
    with pytest.raises(retrieval.QueryInvalid, match="a page has from 1 to 16,384 ids"):
        library.ids("red", limit=limit)


def test_a_page_by_filters_alone_tells_how_many_there_are(library: PhotoLibrary) -> None:
    page = library.search("-type:txt", k=3)
    assert (len(page), page.total, page.complete, page.next) == (3, PHOTOS + 1, True, 3)
    last = library.search("-type:txt", k=3, offset=60)
    assert (len(last), last.total, last.next) == (1, PHOTOS + 1, None)

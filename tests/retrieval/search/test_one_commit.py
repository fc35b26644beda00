"""A search reads one commit of the library, in one transaction; the next search reads the next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.catalog import connection, reader
from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval.search import Searcher, SearchRequest, parse_query
from tests.fakes import GENERIC, ColourEncoder, draw

ENCODER = ColourEncoder(generic={**GENERIC, Kind.TEXT: GENERIC[Kind.TEXT] * 20})  # 100 are enough
EVERY_RED = SearchRequest(query=parse_query("red"), threshold=0.0)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Photos, more than an index run needs to measure the scores of."""
    for number in range(15):
        for colour in ("red", "blue"):
            draw(tmp_path / "photos" / f"{colour}-{number}.png", colour, size=(8 + number, 8))
    with Library.create(tmp_path / "library", ENCODER) as library:
        index_folders(library, ENCODER, [tmp_path / "photos"])
    with Library.open(tmp_path / "library") as library:
        yield library


def _begun(library: Library) -> list[str]:
    """A list of the transactions that the library begins from now on."""
    begun: list[str] = []

    def note(statement: str) -> None:
        if statement == "BEGIN":
            begun.append(statement)

    library.counts()  # connects
    library.view._sqlite.set_trace_callback(note)
    return begun


@pytest.mark.parametrize("query", ["red", "red door", "red + blue", "red - blue", "after:2001"])
def test_a_search_is_one_transaction(library: Library, query: str) -> None:
    begun = _begun(library)
    hits = Searcher(library, ENCODER).search(query, top=3)
    assert (len(begun), len(hits)) == (1, 0 if ":" in query else 3)


def test_a_search_for_all_is_one_transaction(library: Library) -> None:
    begun = _begun(library)
    assert len(Searcher(library, ENCODER).answer(EVERY_RED).hits) == 10
    assert len(Searcher(library, ENCODER).search("red", top=0)) == 30
    assert len(begun) == 2


def test_open_count_and_search_are_three_transactions(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `twinlens search` does, in a process of its own."""
    begun: list[str] = []
    connected = reader.connected

    def traced(path: Path, **how: float) -> connection.Connection:
        opened = connected(path, **how)
        opened.set_trace_callback(begun.append)
        return opened

    monkeypatch.setattr(reader, "connected", traced)
    with Library.open(library.folder) as opened:
        assert opened.counts()[Kind.PHOTO] == 30
        assert len(Searcher(opened, ENCODER).answer(EVERY_RED).hits) == 10
    assert begun.count("BEGIN") == 3


@pytest.mark.parametrize(("step", "is_new"), [("score_sample", True), ("word_matches", False)])
def test_a_search_beside_a_writer_is_of_one_commit(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, is_new: bool
) -> None:
    """Where the writer takes away files before the search has opened them, it begins again."""
    real = getattr(Library, step)

    def written_first(self: Library, *args: Any, **kwargs: Any) -> Any:
        draw(tmp_path / "photos" / "new-red.png", "red", size=(99, 9))
        (tmp_path / "photos" / "blue-0.png").unlink(missing_ok=True)
        with Library.open(tmp_path / "library") as writer:
            index_folders(writer, ENCODER, [tmp_path / "photos"])
        return real(self, *args, **kwargs)

    def found() -> set[str]:
        return {hit.path.name for hit in Searcher(library, ENCODER).search("red", top=0)}

    before = found()
    with monkeypatch.context() as patched:
        patched.setattr(Library, step, written_first)
        during = found()
    after = found()
    assert during == (after if is_new else before)
    assert before - after == {"blue-0.png"}
    assert after - before == {"new-red.png"}

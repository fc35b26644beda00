"""A large reranker in the search line: scores move, photo by photo, as the formula says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.media.image import read_photo
from retrieval.rerankers import load_reranker
from retrieval.reranking import Reranker
from retrieval.search import Hit, Searcher
from tests.fakes import ColourEncoder
from tests.large import tiny_blip, tiny_yes_no

WEIGHT = 0.01  # of the query and of the instruction, where nothing was tuned
SEEN = ColourEncoder().image_size  # pixels a side that search decodes photos for


@pytest.fixture(params=[tiny_blip, tiny_yes_no])
def reranker(request: pytest.FixtureRequest, tmp_path: Path) -> Reranker:
    """One of each kind."""
    make: Callable[[Path], Path] = request.param
    return load_reranker(str(make(tmp_path / "reranker")), ColourEncoder())


def expected(reranker: Reranker, hits: list[Hit], texts: list[str], paths: list[Path]) -> list[Hit]:
    """The hits of the first stage in the order of the formula."""
    sights = reranker.look([read_photo(path, size_hint=SEEN) for path in paths])
    plain = reranker.score([(text, "") for text in texts], sights)
    steered = reranker.score([(text, "no red") for text in texts], sights) - plain
    total = np.array([hit.score for hit in hits])
    total = total + WEIGHT * (plain - plain.mean()) + WEIGHT * (steered - steered.mean())
    return sorted(
        (replace(hit, score=float(score)) for hit, score in zip(hits, total, strict=True)),
        key=lambda hit: -hit.score,
    )


def test_photos_and_texts_are_rescored(reranker: Reranker, photos: Path, tmp_path: Path) -> None:
    encoder = ColourEncoder()
    with Library.create(tmp_path / "library", encoder) as library:
        index_folders(library, encoder, [photos])
        plain, second = Searcher(library, encoder), Searcher(library, encoder, reranker=reranker)
        found = second.search("red", instruct="no red")
        first = plain.search("red")
        wanted = expected(reranker, first, ["red"] * 3, [hit.path for hit in first])
        assert [hit.path for hit in found] == [hit.path for hit in wanted]
        assert [h.score for h in found] == pytest.approx([h.score for h in wanted], abs=1e-6)

        query = photos / "red.png"
        found = second.search(query, kind=Kind.TEXT, instruct="no red")
        first = plain.search(query, kind=Kind.TEXT)
        wanted = expected(reranker, first, [hit.text for hit in first], [query] * 2)
        assert [h.score for h in found] == pytest.approx([h.score for h in wanted], abs=1e-6)

"""The rerank stage in an evaluation: the first candidates of each query, scored again.

Shapes: q queries, n items, k candidates of a query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.core.types import Kind
from retrieval.reranking import ImageFeatures, QueryInstruction, Reranker, Scores, combine_scores

DEPTH = 50
"""Candidates that are rescored, as in a search for ten answers."""

_AT_ONCE = 256  # queries whose candidates are scored together: they share photos
_AHEAD = 1_000.0  # lifts what was rescored above all that was not


@dataclass(frozen=True, kw_only=True)
class SecondStage:
    """The rerank stage for the candidates of many queries.

    Attributes:
        reranker: the model.
        photos: what it reads of each photo.
        texts: with their instructions.
        query: which of the two are the queries.
        depth: candidates of a query.
    """

    reranker: Reranker
    photos: Sequence[ImageFeatures]
    texts: Sequence[QueryInstruction]
    query: Kind = Kind.TEXT
    depth: int = DEPTH

    @property
    def weight(self) -> float:
        """The weight of the reranker in this direction."""
        item = Kind.PHOTO if self.query == Kind.TEXT else Kind.TEXT
        return self.reranker.fusion.weight(query=self.query, item=item)

    def candidates(self, first: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return each query's best items of the first stage, (q, n) → (q, k), best first."""
        depth = min(self.depth, first.shape[1])
        return np.argsort(-first, axis=1, kind="stable")[:, :depth]

    def scores(self, queries: Sequence[int], candidates: NDArray[np.int64]) -> Scores:
        """Score each query with its candidates. (q, k) → (q, k)."""
        parts: list[Scores] = [np.zeros((0, candidates.shape[1]))]
        for start in range(0, len(queries), _AT_ONCE):
            some = candidates[start : start + _AT_ONCE]
            asking = np.repeat(queries[start : start + _AT_ONCE], some.shape[1])
            found = self.reranker.score(*self._couples(asking, some.ravel()))
            parts.append(found.reshape(some.shape))
        return np.concatenate(parts)

    def rescored(self, queries: Sequence[int], first: NDArray[np.floating]) -> Scores:
        """Return scores of all items, those of the candidates lifted above the rest.

        Args:
            queries: which of the queries these are.
            first: their scores of the first stage. Shape (q, n).
        """
        candidates = self.candidates(first)
        total = first.astype(np.float64)
        before = np.take_along_axis(total, candidates, axis=1)
        after = combine_scores(before, self.scores(queries, candidates), self.weight)
        np.put_along_axis(total, candidates, after + _AHEAD, axis=1)
        return total

    def _couples(
        self, queries: NDArray[np.int64], items: NDArray[np.int64]
    ) -> tuple[list[QueryInstruction], list[ImageFeatures]]:
        """Return text and photo of each pair."""
        texts, photos = (queries, items) if self.query == Kind.TEXT else (items, queries)
        return [self.texts[number] for number in texts], [self.photos[number] for number in photos]

"""Fusion: words that a query shares with captions and names add to the score of the embedding.

    score(item) = embedding score + WEIGHT * BM25(item) / (BM25(item) + HALF)

An item that shares no words keeps its score, so where nothing matches by words nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.types import Candidate

WEIGHT = 0.2
HALF = 8.0

SHARED = 1_000
"""Items that share words which are looked at: the best of them by BM25."""


def fused(
    candidates: Sequence[Candidate],
    shared: Sequence[tuple[int, float]],
    score: Callable[[Sequence[int]], NDArray[np.float32]],
) -> list[Candidate]:
    """Put the items that share words among the candidates, best first.

    Args:
        candidates: the best by the embedding.
        shared: ids and BM25 scores of items that share words with the query.
        score: gives the embedding scores of ids.
    """
    if not shared:
        return list(candidates)
    scores = {candidate.id: candidate.score for candidate in candidates}
    absent = [id_ for id_, _ in shared if id_ not in scores]
    scores.update(zip(absent, score(absent).tolist(), strict=True))
    for id_, bm25 in shared:
        scores[id_] += WEIGHT * bm25 / (bm25 + HALF)
    ordered = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [Candidate(id=id_, score=score_) for id_, score_ in ordered]

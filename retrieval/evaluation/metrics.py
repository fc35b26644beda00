"""Compute the ranks of relevant items, and the metrics over them.

Shapes: q queries, n items, d dimension, r relevant items of one query (it may differ by query).

| name | in papers on image-text retrieval | textbook |
|---|---|---|
| `hit_rate_at_k` | "R@k" | hit rate, success@k |
| `recall_at_k` | – | recall@k |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.core.encoder import Vectors
from retrieval.errors import EvaluationInvalid

Ranks: TypeAlias = tuple[NDArray[np.int64], ...]
"""For each query the ranks of its relevant items, best first, counted from 1. q arrays of (r,)."""

Relevant: TypeAlias = Sequence[NDArray[np.int64]]
"""For each query the columns of its relevant items. q arrays of (r,)."""

Rescored: TypeAlias = Callable[[Sequence[int], NDArray[np.floating]], NDArray[np.floating]]
"""Takes the numbers of some queries and their scores, shape (q, n); returns other scores."""

BLOCK = 512  # queries scored at once: 512 x 25,000 items are 51 MB of float32


def ranks_of_vectors(
    queries: Vectors, items: Vectors, relevant: Relevant, rescored: Rescored | None = None
) -> Ranks:
    """Rank the items for each query by inner product, a block of queries at a time.

    Args:
        queries: shape (q, d).
        items: shape (n, d).
        relevant: the relevant items of each query, at least one.
        rescored: what a second stage makes of the scores; None for the inner products alone.

    Raises:
        EvaluationInvalid: a score is NaN, or a query has no relevant item.
    """
    ranks: Ranks = ()
    for start in range(0, len(queries), BLOCK):
        scores: NDArray[np.floating] = queries[start : start + BLOCK] @ items.T  # (block, n)
        if rescored is not None:
            scores = rescored(range(start, start + len(scores)), scores)
        ranks += ranks_of_scores(scores, relevant[start : start + BLOCK])
    return ranks


def ranks_of_scores(scores: NDArray[np.floating], relevant: Relevant) -> Ranks:
    """Return the ranks of each query's relevant items in a matrix of scores, shape (q, n).

    A tie counts against the model: a relevant item stands behind every irrelevant one of the
    same score. Ties must not be broken by position, where the right answer often comes first.

    Raises:
        EvaluationInvalid: a score is NaN (it compares false with all, so a plain count would
            rank it first), or a query has no relevant item.
    """
    if np.isnan(scores).any():
        raise EvaluationInvalid("a score is NaN: the model gives vectors that are not numbers")
    return tuple(_ranks_of_row(row, columns) for row, columns in zip(scores, relevant, strict=True))


def _ranks_of_row(row: NDArray[np.floating], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rank one query's relevant items: place among their own, plus the irrelevant ahead."""
    if len(columns) == 0:
        raise EvaluationInvalid("a query has no relevant item: its recall is undefined")
    own = np.sort(row[columns])[::-1]  # (r,), best first
    others = np.delete(row, columns)  # (n - r,)
    ahead = (others >= own[:, None]).sum(axis=1)  # (r,)
    ranked: NDArray[np.int64] = np.arange(1, len(own) + 1) + ahead
    return ranked


def hit_rate_at_k(ranks: Ranks, k: int) -> NDArray[np.float64]:
    """Return 1 for each query whose top k holds a relevant item, else 0. Shape (q,).

    `hit@k(q) = 1 if min(ranks of q) <= k else 0`. Its mean is the "R@k" of image-text papers.

    Source: Karpathy and Fei-Fei 2015 (arXiv 1412.2306), section 4.2.
    """
    return np.array([float(of_query[0] <= k) for of_query in ranks])


def recall_at_k(ranks: Ranks, k: int) -> NDArray[np.float64]:
    """Return the share of each query's relevant items that its top k holds. Shape (q,).

    `recall@k(q) = |{relevant items of q with rank <= k}| / |{relevant items of q}|`.

    Source: Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, 8.3.
    """
    return np.array([np.mean(of_query <= k) for of_query in ranks])


def median_rank(ranks: Ranks) -> float:
    """Return the median over the queries of the best relevant rank; 1 is perfect.

    `median over q of min(ranks of q)`. Half a rank comes from an even number of queries.
    """
    if not ranks:
        raise EvaluationInvalid("no queries: their median rank is undefined")
    return float(np.median([of_query[0] for of_query in ranks]))


def bootstrap_interval(
    values: NDArray[np.float64], *, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile interval of the mean of one value a query.

    Queries are drawn with replacement `resamples` times; the interval holds the middle `level`
    of the means. It speaks of other queries of the same kind, not of another training run.

    Args:
        values: one metric, shape (q,).
        level: share of the means inside, between 0 and 1.
        resamples: draws; 1,000 leave about 0.1 interval widths of noise in each end.
        seed: the same seed gives the same interval.

    Raises:
        EvaluationInvalid: there are no values, or one is NaN.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    if len(values) == 0 or np.isnan(values).any():
        raise EvaluationInvalid("an interval needs at least one query and no NaN")
    rng = np.random.default_rng(seed)
    draws = (rng.integers(len(values), size=len(values)) for _ in range(resamples))
    means = [values[draw].mean() for draw in draws]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)

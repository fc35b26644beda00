"""A query as the vectors are asked: what is asked for in one vector, what is taken away beside it.

What is asked for scores an item by `vector · v - alpha * h`, from its cosines and its hubness
(`indexer.calibration.hubness`). A sum of such scores is one of them, so any number of terms costs
one search:

    score = sum of w+ * s+  -  sum of w- * max(0, s- - floor)      the w+ add up to 1

The floor is what unrelated items reach, and half a spread more: what is not on a photo at all
neither lifts nor lowers it. `benchmarks/algebra.py` compares this with other ways to take away.

Each w is divided by the spread of its kind's scores (`indexer.calibration.score_stats`), so a photo
counts as much as words do. Words that are added are asked as one phrase, "beach and sunset": a
model knows what both look like together, and the mean of their vectors does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from indexer.core.encoder import Vectors
from indexer.core.filters import Filter
from indexer.core.types import Candidate, Kind
from indexer.library.library import Library
from retrieval.search.query import Query, Term

FLOOR = 0.5
"""Spreads above the mean at which a term begins to push down."""

POOL = 64
"""Candidates looked at, at least, where terms are taken away."""


_PORTION = 4096  # items whose vectors are looked at at once


@dataclass(frozen=True, kw_only=True)
class ScoreScale:
    """What unrelated items score: their mean, and the standard deviation around it."""

    mean: float
    spread: float

    def spreads(self, score: float) -> float:
        """Return how many spreads a score lies above the mean."""
        return (score - self.mean) / self.spread

    @property
    def floor(self) -> float:
        """Where a term that is taken away begins to push down."""
        return self.mean + FLOOR * self.spread


_UNKNOWN = ScoreScale(mean=0.0, spread=0.0)


@dataclass(frozen=True, kw_only=True)
class NegativeTerm:
    """What is taken away: the vector of shape (dim,), where it begins, and its weight."""

    vector: Vectors
    floor: float
    weight: float

    def cost(self, items: Vectors) -> NDArray[np.float32]:
        """Return what it costs each item of (n, dim). Shape (n,)."""
        excess: NDArray[np.float32] = np.maximum(0.0, items @ self.vector - self.floor)
        return self.weight * excess


@dataclass(frozen=True, kw_only=True)
class ComposedQuery:
    """What items are scored by.

    Attributes:
        vector: their cosines with it count. Shape (1, dim).
        alpha: share of their hubness that leaves the score.
        unit: what unrelated items score; None where the library cannot tell.
        taken: what pushes them down.
    """

    vector: Vectors
    alpha: float
    unit: ScoreScale | None
    taken: tuple[NegativeTerm, ...] = ()


def mixed(asked: Sequence[ComposedQuery], weights: Sequence[float]) -> ComposedQuery:
    """Return the one question that several terms ask.

    Args:
        asked: one a term; those that are taken away with the alpha 0.
        weights: one a term; those below 0 take away, one at least is above.
    """
    units = [each.unit or _UNKNOWN for each in asked]
    known = all(each.unit for each in asked)
    shares = np.array(weights) / ([unit.spread for unit in units] if known else 1.0)
    shares /= shares[shares > 0].sum()
    terms = list(zip(asked, units, shares.tolist(), strict=True))
    added = [term for term in terms if term[2] > 0]
    vectors = [share * each.vector for each, _, share in added]
    unit = ScoreScale(
        mean=sum(share * unit.mean for _, unit, share in added),
        spread=sum(share * unit.spread for _, unit, share in added),
    )
    return ComposedQuery(
        vector=np.sum(vectors, axis=0, dtype=np.float32),
        alpha=sum(share * each.alpha for each, _, share in added),
        unit=unit if known else None,
        taken=tuple(
            NegativeTerm(vector=each.vector[0], floor=unit.floor, weight=-share)
            for each, unit, share in terms
            if share < 0
        ),
    )


def joined(terms: Sequence[Term]) -> list[Term]:
    """Put added words into one phrase, with the weight that all of them have; the rest stays.

    `2:beach + sunset` is "beach and sunset", which counts for two, and one more beach.
    """
    words = [term for term in terms if term.weight > 0 and term.query.kind == Kind.TEXT]
    if len(words) < 2:
        return list(terms)
    least = min(term.weight for term in words)
    phrase = Query(kind=Kind.TEXT, text=" and ".join(term.query.text for term in words))
    more = [replace(term, weight=term.weight - least) for term in words if term.weight > least]
    others = [term for term in terms if term not in words]
    return [Term(query=phrase, weight=least * len(words)), *more, *others]


def candidates(
    library: Library, asked: ComposedQuery, kind: Kind, k: int, *, where: Filter | None = None
) -> list[Candidate]:
    """Return the `k` best items of a kind, exactly, best first; of equal scores the lower id.

    Only among those that `where` lets through.

    Taking away only lowers a score: once the k-th is no lower than what the last one looked at
    had before, nothing that was not looked at can be better.
    """
    pool = max(POOL, 2 * k) if asked.taken else k
    while True:
        (found,) = library.search(asked.vector, kind, pool, alpha=asked.alpha, where=where)
        best = _lowered(library, asked, kind, found)[:k]
        if not asked.taken or len(found) < pool or best[-1].score >= found[-1].score:
            return best
        pool *= 4


def shown_as(query: Query) -> list[Query]:
    """Return what photos may show of something that shall not be there: "a man" is people, too.

    To a model "people" are several: it finds less of them on a portrait than on a street.
    """
    if query.text.strip().lower() not in ("people", "persons"):
        return [query]
    return [query, *(replace(query, text=text) for text in ("a man", "a woman", "a child"))]


def without(
    library: Library, taken: Sequence[NegativeTerm], kind: Kind, ids: Sequence[int], k: int
) -> list[Candidate]:
    """Return the first `k` of some items that show nothing of what is taken away.

    Args:
        library: that holds the items.
        taken: what is taken away. With a floor of -1 every item shows some of it: then the items
            that show the least are returned, best first.
        kind: of the items.
        ids: of the items, in the order in which they are wanted.
        k: how many.
    """
    ranked = any(each.floor <= -1.0 for each in taken)
    found: list[Candidate] = []
    for start in range(0, len(ids), _PORTION):
        some = ids[start : start + _PORTION]
        items = library.fetch(some, kind)  # (n, dim)
        costs = np.sum([each.cost(items) for each in taken], axis=0)
        found += [
            Candidate(id=id_, score=-float(cost))
            for id_, cost in zip(some, costs, strict=True)
            if ranked or not cost
        ]
        if len(found) >= k and not ranked:
            break
    return sorted(found, key=lambda each: -each.score)[:k]


def scores_of(
    library: Library, asked: ComposedQuery, kind: Kind, ids: Sequence[int]
) -> NDArray[np.float32]:
    """Return the scores of some items. Shape (ids,)."""
    scores = library.score(asked.vector, kind, ids, alpha=asked.alpha)
    if not asked.taken:
        return scores
    items = library.fetch(ids, kind)  # (n, dim)
    lowered: NDArray[np.float32] = scores - _cost(asked, items)
    return lowered


def _cost(asked: ComposedQuery, items: Vectors) -> NDArray[np.float32]:
    """Return what all that is taken away costs each item. Shape (n,)."""
    cost: NDArray[np.float32] = np.sum([taken.cost(items) for taken in asked.taken], axis=0)
    return cost


def _lowered(
    library: Library, asked: ComposedQuery, kind: Kind, found: Sequence[Candidate]
) -> list[Candidate]:
    """Take away from the scores of candidates, and order them anew."""
    if not asked.taken or not found:
        return list(found)
    items = library.fetch([each.id for each in found], kind)  # (n, dim)
    cost = _cost(asked, items)
    lowered = [
        Candidate(id=each.id, score=each.score - float(less))
        for each, less in zip(found, cost, strict=True)
    ]
    return sorted(lowered, key=lambda each: (-each.score, each.id))

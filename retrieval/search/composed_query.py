"""Composed queries: the vectors of added terms and of negative terms, and how they are scored.

An added term scores an item by `vector · v - alpha * h`, from its cosine and its hubness
(`indexer.calibration.hubness`). A sum of such scores has the same form, so any number of terms
takes one search:

    score = sum of w+ * s+  -  sum of w- * max(0, s- - floor)      the w+ add up to 1

The floor is the mean score of unrelated items plus half their spread: a thing that is not on a
photo neither raises nor lowers its score. `benchmarks/algebra.py` compares this with other ways to
subtract a term.

Each w is divided by the spread of its kind's scores (`indexer.calibration.score_stats`), so a photo
counts as much as words do. Added words form one phrase, "beach and sunset": a model knows what both
look like together, while the mean of their vectors does not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
    """The mean score of unrelated items, and the standard deviation around it."""

    mean: float
    spread: float

    def spreads(self, score: float) -> float:
        """Return how many standard deviations a score is above the mean."""
        return (score - self.mean) / self.spread

    @property
    def floor(self) -> float:
        """The score above which a negative term lowers an item."""
        return self.mean + FLOOR * self.spread


_UNKNOWN = ScoreScale(mean=0.0, spread=0.0)


@dataclass(frozen=True, kw_only=True)
class NegativeTerm:
    """A term to subtract: its vector of shape (dim,), its floor, and its weight."""

    vector: Vectors
    floor: float
    weight: float

    def cost(self, items: Vectors) -> NDArray[np.float32]:
        """Return how far it lowers the score of each item of (n, dim). Shape (n,)."""
        excess: NDArray[np.float32] = np.maximum(0.0, items @ self.vector - self.floor)
        return self.weight * excess


@dataclass(frozen=True, kw_only=True)
class ComposedQuery:
    """The vectors of a query.

    Attributes:
        vector: of the added terms. Shape (1, dim).
        alpha: share of the hubness that is subtracted from a score.
        unit: the scale of unrelated scores; None if the library cannot estimate it.
        negative: the negative terms.
    """

    vector: Vectors
    alpha: float
    unit: ScoreScale | None
    negative: tuple[NegativeTerm, ...] = ()


def mixed(queries: Sequence[ComposedQuery], weights: Sequence[float]) -> ComposedQuery:
    """Combine several terms into one query.

    Args:
        queries: the vectors of each term; negative terms have the alpha 0.
        weights: one for each term, below 0 for negative terms; one at least is above 0.
    """
    units = [each.unit or _UNKNOWN for each in queries]
    known = all(each.unit for each in queries)
    shares = np.array(weights) / ([unit.spread for unit in units] if known else 1.0)
    shares /= shares[shares > 0].sum()
    terms = list(zip(queries, units, shares.tolist(), strict=True))
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
        negative=tuple(
            NegativeTerm(vector=each.vector[0], floor=unit.floor, weight=-share)
            for each, unit, share in terms
            if share < 0
        ),
    )


def joined(terms: Sequence[Term]) -> list[Term]:
    """Join added words into one phrase, with the weight that all of them have; keep the rest.

    `2:beach + sunset` becomes "beach and sunset" with the weight 2, and "beach" with the weight 1.
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
    library: Library,
    query: ComposedQuery,
    kind: Kind,
    k: int,
    *,
    where: Filter | None = None,
    excluded: Collection[int] = (),
) -> list[Candidate]:
    """Return the `k` best items of a kind, exactly, best first; of equal scores the lower id.

    Only items that pass `where` and are not `excluded` are returned. Negative terms only lower a
    score. So the search ends when the k-th score is no lower than the last examined item's score
    without the negative terms.
    """
    pool = max(POOL, 2 * k) if query.negative else k
    never = np.array(sorted(excluded), dtype=np.int64) if excluded else None
    while True:
        (found,) = library.search(
            query.vector, kind, pool, alpha=query.alpha, where=where, excluded=never
        )
        best = _lowered(library, query, kind, found)[:k]
        if not query.negative or len(found) < pool or best[-1].score >= found[-1].score:
            return best
        pool *= 4


def shown_as(query: Query) -> list[Query]:
    """Return the texts that a negative term stands for: "people" stands for "a man", too.

    To a model, "people" are several, so it scores a portrait lower for them than a street.
    """
    if query.text.strip().lower() not in ("people", "persons"):
        return [query]
    return [query, *(replace(query, text=text) for text in ("a man", "a woman", "a child"))]


def without(
    library: Library, terms: Sequence[NegativeTerm], kind: Kind, ids: Sequence[int], k: int
) -> list[Candidate]:
    """Return the first `k` of some items that show nothing of the negative terms.

    Args:
        library: that holds the items.
        terms: the negative terms. With a floor of -1 every item shows some of them: then the items
            that show the least are returned, best first.
        kind: of the items.
        ids: of the items, in the order in which they are wanted.
        k: how many.
    """
    ranked = any(each.floor <= -1.0 for each in terms)
    found: list[Candidate] = []
    for start in range(0, len(ids), _PORTION):
        some = ids[start : start + _PORTION]
        items = library.fetch(some, kind)  # (n, dim)
        costs = np.sum([each.cost(items) for each in terms], axis=0)
        found += [
            Candidate(id=id_, score=-float(cost))
            for id_, cost in zip(some, costs, strict=True)
            if ranked or not cost
        ]
        if len(found) >= k and not ranked:
            break
    return sorted(found, key=lambda each: -each.score)[:k]


def scores_of(
    library: Library, query: ComposedQuery, kind: Kind, ids: Sequence[int]
) -> NDArray[np.float32]:
    """Return the scores of some items. Shape (ids,)."""
    scores = library.score(query.vector, kind, ids, alpha=query.alpha)
    if not query.negative:
        return scores
    items = library.fetch(ids, kind)  # (n, dim)
    lowered: NDArray[np.float32] = scores - _cost(query, items)
    return lowered


def _cost(query: ComposedQuery, items: Vectors) -> NDArray[np.float32]:
    """Return how far all negative terms lower each item's score. Shape (n,)."""
    cost: NDArray[np.float32] = np.sum([each.cost(items) for each in query.negative], axis=0)
    return cost


def _lowered(
    library: Library, query: ComposedQuery, kind: Kind, found: Sequence[Candidate]
) -> list[Candidate]:
    """Subtract the negative terms from the scores of candidates, and sort them again."""
    if not query.negative or not found:
        return list(found)
    items = library.fetch([each.id for each in found], kind)  # (n, dim)
    cost = _cost(query, items)
    lowered = [
        Candidate(id=each.id, score=each.score - float(less))
        for each, less in zip(found, cost, strict=True)
    ]
    return sorted(lowered, key=lambda each: (-each.score, each.id))

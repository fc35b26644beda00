"""Score statistics: the mean and spread of the scores that generic queries reach in a library.

A cosine of 0.3 is high with one model and low with another. Its distance from the mean score of
unrelated queries in this library, divided by their spread, can be compared between models and
libraries. The generic queries are the reference set, or items of the library if a model has no
reference vectors. Nearly all pairs of a generic query and an item are unrelated.

    score    = c - alpha * h
    mean     = E c - alpha * E h
    spread^2 = Var c - 2 alpha Cov(c, h) + alpha^2 Var h

The moments of c (cosine) and h (hubness) are stored, so each search can use its own alpha.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace

import numpy as np

from indexer.core.encoder import Vectors

SAMPLE = 4096
"""Items that are looked at, however large the library: the mean is then sure to 2 % of a spread."""

COHORT = 512
"""Generic items that a query is scored against: its mean is then sure to 5 % of a spread."""

FEWEST_ITEMS = 10
FEWEST_QUERIES = 100
"""With fewer, mean and spread would tell of these few alone; so of a cohort, too."""

STALE_SHARE = 0.1
"""Score statistics are measured again once the library has grown or shrunk by this share."""


@dataclass(frozen=True, kw_only=True)
class ScoreStats:
    """Means and variances over pairs of a generic query and an item of the library.

    Attributes:
        cosine: mean of c.
        hubness: mean of h; 0 where no hubness is known.
        cosine_variance: of c.
        hubness_variance: of h.
        covariance: of c and h.
        items: that the library had.
    """

    cosine: float
    hubness: float
    cosine_variance: float
    hubness_variance: float
    covariance: float
    items: int

    def mean(self, alpha: float) -> float:
        """Return the mean score of unrelated pairs."""
        return self.cosine - alpha * self.hubness

    def spread(self, alpha: float) -> float:
        """Return the standard deviation of the scores of unrelated pairs."""
        variance = self.cosine_variance - 2 * alpha * self.covariance
        return math.sqrt(max(0.0, variance + alpha**2 * self.hubness_variance))

    def fits(self, items: int) -> bool:
        """Return whether so many items are about as many as those that were measured."""
        return abs(items - self.items) <= STALE_SHARE * self.items

    def dumps(self) -> str:
        """Return the statistics as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, noted: str) -> ScoreStats:
        """Read what `dumps` wrote.

        Raises:
            ValueError: it is something else.
            TypeError: likewise.
        """
        values = {key: float(value) for key, value in dict(json.loads(noted)).items()}
        moments = cls(**values)  # type: ignore[arg-type]
        return replace(moments, items=int(moments.items))


def cohort_of(bank: Vectors) -> Vectors:
    """Return some items of the reference set, spread evenly over it. Shape (n, dim)."""
    return bank[:: max(1, len(bank) // COHORT)]


def measure(queries: Vectors, rows: Vectors, *, items: int) -> ScoreStats:
    """Measure the moments over all pairs, without making a matrix of all pairs.

    Args:
        queries: generic unit vectors. Shape (queries, dim).
        rows: items as they are stored. Shape (rows, dim) or, with the hubness, (rows, dim + 1).
        items: how many the library has.
    """
    dim = queries.shape[1]
    asked, vectors = queries.astype(np.float64), rows[:, :dim].astype(np.float64)
    hubs = rows[:, dim].astype(np.float64) if rows.shape[1] > dim else np.zeros(len(rows))
    means = vectors @ asked.mean(axis=0)  # (rows,) mean cosine of each item
    squares = (vectors.T @ vectors * (asked.T @ asked)).sum() / (len(vectors) * len(asked))
    return ScoreStats(
        cosine=float(means.mean()),
        hubness=float(hubs.mean()),
        cosine_variance=float(squares - means.mean() ** 2),
        hubness_variance=float(hubs.var()),
        covariance=float((means * hubs).mean() - means.mean() * hubs.mean()),
        items=items,
    )

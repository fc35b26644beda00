"""Compare two models on the same pairs, with intervals and p-values of the difference.

The captions of a photo are not independent, and both directions use the same photos. So each random
draw is made by photo, with everything that belongs to it.

| | how |
|---|---|
| interval | cluster bootstrap: photos drawn with replacement, each with all its queries |
| p | sign-flip test: the two models swap their results on a random half of the photos |

Shapes: n photos, m metrics.

Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 8 and 15; Smucker,
Allan and Carterette 2007, A comparison of statistical significance tests for information
retrieval evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import EvaluationInvalid
from retrieval.evaluation.metrics import Ranks, hit_rate_at_k, recall_at_k
from retrieval.evaluation.retrieval_eval import CUTS, Evaluation

Floats = NDArray[np.float64]

RESAMPLES = 2_000  # bootstrap draws: leave about 0.07 interval widths of noise in each end
FLIPS = 10_000  # random sign flips: the smallest p is 0.0001
EXACT = 13  # photos with a difference up to which all 2^13 = 8,192 flips are counted instead
_BLOCK = 1 << 22  # random numbers at once
_SAME = 1e-9  # relative: sums of the same numbers in another order

THERE, BACK = "text_to_image", "image_to_text"
_VALUES: dict[str, Callable[[Ranks], Floats]] = {
    **{f"R@{k}": partial(hit_rate_at_k, k=k) for k in CUTS},
    **{f"recall@{k}": partial(recall_at_k, k=k) for k in CUTS},
}
METRICS = tuple((direction, name) for direction in (THERE, BACK) for name in _VALUES)
_IN_SUM = np.array([float(name.startswith("R@")) for _, name in METRICS])
_WITH_SUM = np.column_stack([np.eye(len(METRICS)), _IN_SUM])
"""Appends to columns of metrics, shape (n, m), the sum of the R@k: the field's `rsum`."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference of two models, second minus first, in percentage points.

    `low` and `high` bound the 95 % interval; `p` is two-sided, of no difference at all.
    """

    first: float
    second: float
    value: float
    low: float
    high: float
    p: float

    def as_json(self) -> dict[str, object]:
        """Return the figures, rounded to 0.01 and p to 0.0001."""
        return {
            "first": round(self.first, 2),
            "second": round(self.second, 2),
            "difference": round(self.value, 2),
            "interval": [round(self.low, 2), round(self.high, 2)],
            "p": round(self.p, 4),
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The comparison of two models.

    `differences` maps a direction to its metrics (`R@1` … `recall@10`) and their differences;
    `rsum` is the sum of R@1, R@5 and R@10 of both directions.
    """

    first: Evaluation
    second: Evaluation
    differences: Mapping[str, Mapping[str, Difference]]
    rsum: Difference

    def as_json(self) -> dict[str, object]:
        """Return the comparison as plain values, ready for JSON."""
        plain: dict[str, object] = {
            direction: {name: each.as_json() for name, each in metrics.items()}
            for direction, metrics in self.differences.items()
        }
        return {
            "first": self.first.as_json(),
            "second": self.second.as_json(),
            "differences": {**plain, "rsum": self.rsum.as_json()},
        }


def compare(first: Evaluation, second: Evaluation, seed: int = 0) -> Comparison:
    """Compare two models that were evaluated on the same pairs.

    Args:
        first: of the model to compare with.
        second: of the model whose gain is asked for.
        seed: of the random draws; the same seed gives the same figures.

    Raises:
        EvaluationInvalid: they were not evaluated on the same photos and captions.
    """
    _require_same_pairs(first, second)
    weights = _weights(first)  # (n, m)
    before, after = _per_photo(first) * weights, _per_photo(second) * weights  # sums are means
    gain = (after - before) @ _WITH_SUM  # (n, m + 1)
    drawn = bootstrap_differences(after - before, weights, seed) @ _WITH_SUM  # (draws, m + 1)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    ends = (np.sum(before @ _WITH_SUM, axis=0), np.sum(after @ _WITH_SUM, axis=0))
    figures = 100 * np.stack([*ends, gain.sum(axis=0), low, high], axis=1)  # (m + 1, 5)
    found = [
        Difference(first=row[0], second=row[1], value=row[2], low=row[3], high=row[4], p=p)
        for row, p in zip(figures.tolist(), sign_flip_p(gain, seed).tolist(), strict=True)
    ]
    differences: dict[str, dict[str, Difference]] = {}
    for (direction, name), each in zip(METRICS, found, strict=False):
        differences.setdefault(direction, {})[name] = each
    return Comparison(first=first, second=second, differences=differences, rsum=found[-1])


def _require_same_pairs(first: Evaluation, second: Evaluation) -> None:
    """Refuse evaluations over different photos or captions."""
    if first.photos != second.photos or not np.array_equal(first.owner, second.owner):
        raise EvaluationInvalid(
            f"'{first.model}' and '{second.model}' were evaluated on different photos or captions "
            f"({first.images} and {second.images} photos): compare them on the same pairs"
        )


def bootstrap_differences(gain: Floats, weights: Floats, seed: int) -> Floats:
    """Return the difference of means in each of `RESAMPLES` draws of photos.

    Args:
        gain: each photo's part of the difference, shape (n, m); a column adds up to it.
        weights: each photo's part of the queries, shape (n, m); a column adds up to 1.
        seed: of the draws.

    Returns:
        Shape (draws, m). A photo that is drawn twice counts twice, with all its queries.
    """
    rng = np.random.default_rng([seed, 1])
    photos = len(gain)

    def draw(count: int) -> Floats:
        chosen = rng.integers(photos, size=(count, photos))
        counts = [np.bincount(row, minlength=photos) for row in chosen]
        return np.array(counts, dtype=np.float64)

    drawn = [(times @ gain) / (times @ weights) for times in _blocks(draw, RESAMPLES, photos)]
    return np.concatenate(drawn)


def sign_flip_p(values: Floats, seed: int) -> Floats:
    """Return the two-sided p of each column's sum under random signs of the rows. Shape (m,).

    If the models were alike, each photo's difference might as well have the other sign. p is the
    share of sign patterns whose sum is at least as far from 0 as the sum that was found: of all
    patterns where few rows differ from 0, else of `FLIPS` random ones and the one that was found.

    Args:
        values: shape (n, m).
        seed: of the signs.
    """
    found = np.abs(values.sum(axis=0))
    edge = found - _SAME * np.abs(values).sum(axis=0)
    values = values[(values != 0).any(axis=1)]
    exact = len(values) <= EXACT
    signs = _all_signs(len(values)) if exact else _random_signs(len(values), seed)
    far = np.zeros(len(found))
    for block in signs:
        far += (np.abs(block @ values) >= edge).sum(axis=0)
    p: Floats = far / 2 ** len(values) if exact else (far + 1) / (FLIPS + 1)
    return p


def _all_signs(rows: int) -> Iterator[Floats]:
    """Return every pattern of signs, shape (2^rows, rows)."""
    patterns = np.arange(2**rows)[:, None] >> np.arange(rows)
    yield 1.0 - 2.0 * (patterns & 1).astype(np.float64)


def _random_signs(rows: int, seed: int) -> Iterator[Floats]:
    """Return random signs in blocks of shape (some, rows)."""
    rng = np.random.default_rng([seed, 2])

    def draw(count: int) -> Floats:
        return 1.0 - 2.0 * rng.integers(2, size=(count, rows)).astype(np.float64)

    return _blocks(draw, FLIPS, rows)


def _blocks(draw: Callable[[int], Floats], count: int, width: int) -> Iterator[Floats]:
    """Draw `count` rows, so many at a time that they fit into memory."""
    size = max(1, _BLOCK // max(1, width))
    for start in range(0, count, size):
        yield draw(min(size, count - start))


def _per_photo(done: Evaluation) -> Floats:
    """Return the mean of each metric over each photo's queries. Shape (n, m)."""
    ranks = {THERE: done.text_to_image.ranks, BACK: done.image_to_text.ranks}
    owner = {THERE: done.owner, BACK: np.arange(done.images)}
    columns = []
    for direction, name in METRICS:
        values = _VALUES[name](ranks[direction])
        summed = np.bincount(owner[direction], values, minlength=done.images)
        columns.append(summed / np.bincount(owner[direction], minlength=done.images))
    return np.stack(columns, axis=1)


def _weights(done: Evaluation) -> Floats:
    """Return each photo's part of the queries of each metric. Shape (n, m)."""
    captions = np.bincount(done.owner, minlength=done.images)
    each = {THERE: captions / captions.sum(), BACK: np.full(done.images, 1 / done.images)}
    return np.stack([each[direction] for direction, _ in METRICS], axis=1)

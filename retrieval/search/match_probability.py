"""Estimate whether anything matches a query, and how likely each hit is a match.

For photos found by words, both estimates use these values:

| value | what it is |
|---|---|
| own | how far the score is above the query's mean score of generic photos, in their spreads |
| here | how far it is above the library's median for the query, in its lower half-spreads |
| words | logarithm of the number of meaningful words |
| sharpness | logarithm of the query's spread over generic photos, in spreads of generic queries |
| variety | logarithm of the query's spread over this library's photos, by that over generic ones |
| level | mean score of generic photos, in spreads of generic queries |
| items | logarithm of the number of items, in thousands |
| commonness | mean of the logarithms of how often captions use the words |

`probability` is a small network with one hidden layer that is monotonic in the score. It was
trained on labelled photos of several kinds (`scripts/fit_matching.py`). Common and rare things need
different scores for a match; sharpness, variety and commonness tell the network which it is.
`anything` is a logistic function of the best hit and the same values. `benchmarks/nothing.py`
measures both.

In the other directions, and for models without reference vectors, two scales are used instead:

    log-odds = slope * z + own * y - offset - size * ln(items / 1000)

z is in spreads of what unrelated queries score in this library (`indexer.calibration.score_stats`),
y in spreads of what this query scores on generic items.

Source: Kenny 2010 (S-norm), Bayesian speaker verification with heavy-tailed priors, for scores
normalised on both sides; Sill 1998, Monotonic networks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from indexer.core.types import Kind
from retrieval._resources import resource
from retrieval.search.composed_query import ScoreScale
from retrieval.search.results import FAINT, UNLIKELY

LARGEST = 10_000
"""Items above which no more is taken off: a large library holds more of what is asked for, too."""

NETWORK = "matching.safetensors"

_LEAST_ANYTHING = -1.22
"""Log-odds below which nothing matches: 3 % of the answered queries that chose it were refused."""

_SHARPEST = 0.2
"""Sharpness beyond which no query was seen."""

_NEVER_SAID = -9.5
"""Commonness of a word that captions do not say."""

_EMPTY_WORDS = frozenset(
    """
a an the of in on with and is are at to photo picture image some near by his her it its
""".split()  # noqa: SIM905 - a list of words reads better so
)
_WORD = re.compile(r"[^\W_]+")
_PLURAL = re.compile(r"(?<=..)s$")

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Odds:
    """The constants of one direction whose scores are normalised by two scales."""

    slope: float
    own: float = 0.0
    offset: float
    size: float
    least: float


_ODDS = {
    (Kind.PHOTO, Kind.TEXT): Odds(slope=3.835, own=0.649, offset=18.181, size=1.355, least=0.115),
}

_ODDS_BY_LIBRARY = {
    (Kind.TEXT, Kind.PHOTO): Odds(slope=4.025, offset=14.416, size=0.755, least=0.055),
    (Kind.PHOTO, Kind.PHOTO): Odds(slope=3.324, offset=14.064, size=0.08, least=0.5),
    (Kind.PHOTO, Kind.TEXT): Odds(slope=4.517, offset=18.5, size=1.37, least=0.115),
    (Kind.TEXT, Kind.TEXT): Odds(slope=3.391, offset=14.078, size=1.033, least=0.074),
}
"""Where there are no generic items, or they tell nothing: within one kind. `least` refused one in
twenty answered queries on the half of the data that the constants were fitted to."""


@dataclass(frozen=True, kw_only=True)
class ScoreSample:
    """What a query scores a sample of the items that are searched.

    Attributes:
        spread: standard deviation of the scores.
        median: of the scores.
        low: their quantile of 0.16.
    """

    spread: float
    median: float
    low: float

    @classmethod
    def of(cls, scores: NDArray[np.float32]) -> ScoreSample | None:
        """Measure scores; None if all are alike."""
        if not len(scores):
            return None
        low, median = np.quantile(scores, [0.16, 0.5])
        spread = float(scores.std())
        if not spread or median <= low:
            return None
        return cls(spread=spread, median=float(median), low=float(low))


@dataclass(frozen=True, kw_only=True)
class MatchCalibrator:
    """Turns the scores of one query into calibrated probabilities.

    Attributes:
        unit: score statistics of unrelated queries on the items of this library.
        own: scores of this query on generic items; None if there are none.
        here: its scores on the items that are searched; None if they are too few.
        query: a photo or words.
        item: the kind of the hits.
        items: number of items of that kind that are searched, above 0.
        text: the words of the query, or English ones about the same.
        length: how many words of the query say something; 0 for as many as `text` has.
    """

    unit: ScoreScale
    own: ScoreScale | None
    query: Kind
    item: Kind
    items: int
    here: ScoreSample | None = None
    text: str = ""
    length: int = 0

    def probability(self, score: float) -> float:
        """Return how likely a hit of this score is a match, from 0 to 1."""
        return float(self.probabilities([score])[0])

    def probabilities(self, scores: Sequence[float]) -> Floats:
        """Return how likely hits of these scores are matches. Shape (scores,)."""
        log_odds = self._log_odds(np.asarray(scores, dtype=np.float64))
        found: Floats = 1 / (1 + np.exp(-np.clip(log_odds, -500.0, 500.0)))
        return found

    def anything(self, best: float) -> bool:
        """Return whether anything matches, if the best hit has this score."""
        if self._by_network:
            return self.probability(best) >= FAINT and self._anything(best) >= _LEAST_ANYTHING
        return self.probability(best) >= self._odds.least

    @property
    def even(self) -> float:
        """The score of a hit with a match probability of one half."""
        return self.score_of(0.5)

    def score_of(self, probability: float) -> float:
        """Return the score of a hit that is so likely a match."""
        low, high = self.unit.mean - 40 * self.unit.spread, self.unit.mean + 40 * self.unit.spread
        for _ in range(60):
            middle = (low + high) / 2
            below = self.probability(middle) < probability
            low, high = (middle, high) if below else (low, middle)
        return (low + high) / 2

    @property
    def _by_network(self) -> bool:
        """Return whether all is known that the network reads."""
        towards = (self.query, self.item) == (Kind.TEXT, Kind.PHOTO)
        return towards and self.own is not None and self.here is not None and bool(self._words)

    @property
    def _odds(self) -> Odds:
        """The constants, where two units tell a score."""
        way = (self.query, self.item)
        return _ODDS[way] if self.own and way in _ODDS else _ODDS_BY_LIBRARY[way]

    @cached_property
    def _words(self) -> list[str]:
        """The words that say something, without the s of a plural."""
        found = (_PLURAL.sub("", word) for word in _WORD.findall(self.text.lower()))
        return [word for word in found if word not in _EMPTY_WORDS]

    @cached_property
    def _size(self) -> float:
        """The logarithm of the number of items, in thousands."""
        return math.log(min(self.items, LARGEST) / 1000)

    @cached_property
    def _values(self) -> dict[str, float]:
        """What is known of the query, by the names of the module's table."""
        assert self.own is not None
        assert self.here is not None
        usual = _network().usual
        said = [usual.get(word, _NEVER_SAID) for word in self._words]
        return {
            "words": math.log(self.length or len(self._words)),
            "sharpness": math.log(self.own.spread / self.unit.spread),
            "variety": math.log(self.here.spread / self.own.spread),
            "level": (self.own.mean - self.unit.mean) / self.unit.spread,
            "items": self._size,
            "commonness": sum(said) / len(said),
            "unknown": sum(word not in usual for word in self._words) / len(said),
        }

    def _log_odds(self, scores: Floats) -> Floats:
        """Return the log-odds of a match. Shape (scores,)."""
        if not self._by_network:
            odds = self._odds
            log_odds: Floats = odds.slope * (scores - self.unit.mean) / self.unit.spread
            log_odds -= odds.offset + odds.size * self._size
            own = self.own if odds.own else None
            return log_odds + odds.own * (scores - own.mean) / own.spread if own else log_odds
        assert self.own is not None
        assert self.here is not None
        own_units = (scores - self.own.mean) / self.own.spread
        here = (scores - self.here.median) / (self.here.median - self.here.low)
        known = [self._values[name] for name in _Network.KNOWN]
        return _network().log_odds(
            np.column_stack([own_units, here, np.tile(known, (len(here), 1))])
        )

    def _anything(self, best: float) -> float:
        """Return the log-odds that anything matches.

        A query that is blunter than usual, of a sharpness below 0, needs a better hit.
        """
        assert self.own is not None
        values = self._values
        own = self.own.spreads(best)
        sharpness = min(_SHARPEST, values["sharpness"])
        blunt = min(0.0, sharpness)
        likely = float(self._log_odds(np.array([best]))[0])
        return (
            0.661 * likely
            + (0.315 - 0.542 * blunt) * own
            - 9.110 * sharpness
            + 20.123 * blunt
            - 1.281 * values["words"]
            + 4.441 * values["variety"]
            + 4.146 * values["level"]
            - 1.929 * values["unknown"]
            + 3.288
        )


def lifted_to(matching: MatchCalibrator, best: float) -> float:
    """Return the score that the exact-match boost gives to a name or caption with all the words.

    If no picture is likely to show the thing, it is the score of a match probability of one half:
    the model may not know the word. Otherwise it is the score at which hits become unlikely, so a
    word in a title ("Hot dog") does not outrank the pictures that show the thing ("a dog").

    Args:
        matching: of the query.
        best: the score of the best hit by its picture.
    """
    known = matching.probability(best) >= UNLIKELY
    return matching.score_of(UNLIKELY) if known else matching.even


@dataclass(frozen=True, kw_only=True, eq=False)
class _Network:
    """The network: v values, n hidden units.

    Attributes:
        mean: of the values. Shape (v,).
        spread: of the values. Shape (v,).
        inner: weights of the hidden units; those of the scores are above 0. Shape (v, n).
        inner_bias: Shape (n,).
        outer: weights of the log-odds, all above 0. Shape (n,).
        outer_bias: Shape (1,).
        usual: the logarithm of how often captions say a word.
    """

    KNOWN = ("words", "sharpness", "variety", "level", "items", "commonness")
    ARRAYS = ("mean", "spread", "inner", "inner_bias", "outer", "outer_bias")

    mean: Floats
    spread: Floats
    inner: Floats
    inner_bias: Floats
    outer: Floats
    outer_bias: Floats
    usual: dict[str, float]

    def log_odds(self, values: Floats) -> Floats:
        """Return the log-odds of rows of values. Shape (rows, v) to (rows,)."""
        hidden = np.tanh((values - self.mean) / self.spread @ self.inner + self.inner_bias)
        log_odds: Floats = hidden @ self.outer + self.outer_bias
        return log_odds


@cache
def _network() -> _Network:
    """Load the network that ships, once."""
    with safe_open(resource(NETWORK), framework="numpy") as opened:
        arrays = {name: opened.get_tensor(name).astype(np.float64) for name in _Network.ARRAYS}
        words = opened.metadata()["words"].split()
        usual = dict(zip(words, opened.get_tensor("usual").tolist(), strict=True))
    return _Network(**arrays, usual=usual)

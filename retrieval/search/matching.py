"""How likely a hit is a match: its score, told in two units, as a probability.

A score lies z spreads above what unrelated questions reach in this library (`indexer.moments`), and
y spreads above what this question scores generic items (`Library.score_cohort`). The first knows
the library: all of its photos may be dark. The second knows the question: "animal" is less sharp a
word than "zebra", and its best answers score less. How many of both mean a match depends on
what looks for what, and a little on how many items there are: the more, the higher the best of the
unrelated ones.

    log-odds = slope * z + own * y - offset - size * ln(items / 1000)

The constants are fitted by `benchmarks/nothing.py`; its figures stand in benchmarks/README.md.
Within one kind y adds nothing; and a model without a bank of photos (or texts) has no y for these.

Source: Kenny 2010 (S-norm), Bayesian speaker verification with heavy-tailed priors, for scores told
in the units of both sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from indexer.types import Kind
from retrieval.search.asking import Unit

LARGEST = 10_000
"""Items above which no more is taken off: a large library holds more of what is asked for, too."""


@dataclass(frozen=True, kw_only=True)
class Odds:
    """The constants of one direction."""

    slope: float
    own: float = 0.0
    offset: float
    size: float


_ODDS = {
    (Kind.TEXT, Kind.PHOTO): Odds(slope=2.29, own=1.36, offset=14.233, size=0.836),
    (Kind.PHOTO, Kind.TEXT): Odds(slope=3.835, own=0.649, offset=18.181, size=1.355),
}

_ODDS_BY_LIBRARY = {
    (Kind.TEXT, Kind.PHOTO): Odds(slope=4.025, offset=14.416, size=0.755),
    (Kind.PHOTO, Kind.PHOTO): Odds(slope=3.324, offset=14.064, size=0.08),
    (Kind.PHOTO, Kind.TEXT): Odds(slope=4.517, offset=18.5, size=1.37),
    (Kind.TEXT, Kind.TEXT): Odds(slope=3.391, offset=14.078, size=1.033),
}
"""Where there are no generic items, or they tell nothing: within one kind."""

_THRESHOLDS = {
    (Kind.TEXT, Kind.PHOTO): 0.055,
    (Kind.PHOTO, Kind.PHOTO): 0.5,
    (Kind.PHOTO, Kind.TEXT): 0.115,
    (Kind.TEXT, Kind.TEXT): 0.074,
}
"""With these, one in twenty questions that search can answer was refused on the half of the data
that the constants were fitted to. None is above a half: what is rather a match is shown."""


def default_threshold(query: Kind, item: Kind) -> float:
    """Return how likely a hit must be to count as a match, unless told otherwise."""
    return _THRESHOLDS[query, item]


@dataclass(frozen=True, kw_only=True)
class Matching:
    """How scores of one query become probabilities.

    Attributes:
        unit: what unrelated questions score the items of this library.
        own: what this question scores generic items; None where there are none.
        query: a photo or words.
        item: the kind of the hits.
        items: of that kind in the library, above 0.
    """

    unit: Unit
    own: Unit | None
    query: Kind
    item: Kind
    items: int

    def probability(self, score: float) -> float:
        """Return how likely a hit of this score is a match, from 0 to 1."""
        log_odds = self._log_odds(score)
        return 1 / (1 + math.exp(-min(500.0, max(-500.0, log_odds))))

    @property
    def even(self) -> float:
        """The score of a hit that is as likely a match as not."""
        at_zero = self._log_odds(0.0)
        return -at_zero / (self._log_odds(1.0) - at_zero)

    def _log_odds(self, score: float) -> float:
        """Return the log-odds of a match; they are linear in the score."""
        odds = (_ODDS if self.own else _ODDS_BY_LIBRARY)[self.query, self.item]
        log_odds = odds.slope * self.unit.spreads(score) - odds.offset
        log_odds -= odds.size * math.log(min(self.items, LARGEST) / 1000)
        return log_odds + (odds.own * self.own.spreads(score) if self.own else 0.0)

"""How likely a hit is a match: its score, told in the library's own units, as a probability.

A score lies z spreads above what unrelated items reach in this library (`indexer.moments`). How
many of those mean a match depends on what looks for what, and a little on how many items there
are: the more, the higher the best of the unrelated ones.

    log-odds = slope * z - offset - size * ln(items / 1000)

The constants are fitted by `benchmarks/nothing.py`; its figures stand in benchmarks/README.md.
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
    """The constants of one direction.

    `threshold` is the probability below which a hit is no match; with it one in twenty queries
    that search can answer was refused on the half of the data that all of this was fitted to.
    """

    slope: float
    offset: float
    size: float
    threshold: float


_ODDS = {
    (Kind.TEXT, Kind.PHOTO): Odds(slope=3.557, offset=13.579, size=0.56, threshold=0.09),
    (Kind.PHOTO, Kind.PHOTO): Odds(slope=2.357, offset=10.044, size=0.153, threshold=0.18),
    (Kind.PHOTO, Kind.TEXT): Odds(slope=3.738, offset=15.358, size=1.07, threshold=0.07),
    (Kind.TEXT, Kind.TEXT): Odds(slope=3.198, offset=13.218, size=1.059, threshold=0.05),
}


def default_threshold(query: Kind, item: Kind) -> float:
    """Return how likely a hit must be to count as a match, unless told otherwise."""
    return _ODDS[query, item].threshold


@dataclass(frozen=True, kw_only=True)
class Matching:
    """How scores of one query become probabilities.

    Attributes:
        unit: what unrelated items score.
        query: a photo or words.
        item: the kind of the hits.
        items: of that kind in the library, above 0.
    """

    unit: Unit
    query: Kind
    item: Kind
    items: int

    def probability(self, score: float) -> float:
        """Return how likely a hit of this score is a match, from 0 to 1."""
        odds = _ODDS[self.query, self.item]
        z = (score - self.unit.mean) / self.unit.spread
        log_odds = (
            odds.slope * z - odds.offset - odds.size * math.log(min(self.items, LARGEST) / 1000)
        )
        return 1 / (1 + math.exp(-max(-500.0, log_odds)))

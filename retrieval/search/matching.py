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

THRESHOLD = 0.2
"""What matches less likely is no match: one in twenty queries that search can answer is lost so."""


@dataclass(frozen=True, kw_only=True)
class Odds:
    """The constants of one direction."""

    slope: float
    offset: float
    size: float


_ODDS = {
    (Kind.TEXT, Kind.PHOTO): Odds(slope=3.0, offset=10.0, size=0.5),
    (Kind.PHOTO, Kind.PHOTO): Odds(slope=3.0, offset=10.0, size=0.5),
    (Kind.PHOTO, Kind.TEXT): Odds(slope=3.0, offset=10.0, size=0.5),
    (Kind.TEXT, Kind.TEXT): Odds(slope=3.0, offset=10.0, size=0.5),
}


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
        log_odds = odds.slope * z - odds.offset - odds.size * math.log(self.items / 1000)
        return 1 / (1 + math.exp(-max(-500.0, log_odds)))

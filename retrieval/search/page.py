"""Which hits of a search are shown, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from retrieval._enums import SortOrder
from retrieval.errors import QueryInvalid

if TYPE_CHECKING:
    from retrieval.search.hit import Hit


@dataclass(frozen=True, kw_only=True)
class Page:
    """Which hits are shown: `top` of them, 0 for all, after the first `offset`, in an order.

    Raises:
        QueryInvalid: top or offset is below 0.
    """

    top: int = 10
    offset: int = 0
    sort: SortOrder = SortOrder.SCORE

    def __post_init__(self) -> None:
        if min(self.top, self.offset) < 0:
            wrong = f"{self.top} and {self.offset}"
            raise QueryInvalid(f"top and offset must be at least 0, not {wrong}")

    @property
    def reach(self) -> int:
        """How many of the best hits the page needs; 0 for all."""
        return self.offset + self.top if self.top else 0

    def of(self, hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits of this page with their ranks among all, best or newest first."""
        ranked = [replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1)]
        page = ranked[self.offset : self.reach or None]
        return page if self.sort == SortOrder.SCORE else _newest_first(page, self.offset)


def _newest_first(hits: Sequence[Hit], offset: int) -> list[Hit]:
    """Order hits by date, those without one last, and count their ranks anew."""
    ordered = sorted(hits, key=lambda hit: hit.about.taken or datetime.min, reverse=True)
    return [replace(hit, rank=rank) for rank, hit in enumerate(ordered, start=offset + 1)]

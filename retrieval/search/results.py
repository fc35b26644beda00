"""What a search answers: its hits, whether anything matches, and where hits become unlikely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from retrieval._enums import SortOrder
from retrieval.errors import QueryInvalid
from retrieval.search.hit import Hit, newest_first
from retrieval.search.match_probability import FAINT


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The hits of a page, and what is known of all of them.

    Attributes:
        hits: of the page, in the order that was asked for.
        found: whether anything matches; else there are no hits.
        nearest: the best hit where nothing matches; None if there was none at all.
        matching: how many hits there are on all pages, as far as they were looked for.
        left_out: how many hits were left out as too unlikely, as far as they were looked for.
    """

    hits: list[Hit]
    found: bool
    nearest: Hit | None = None
    matching: int = 0
    left_out: int = 0


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
        return page if self.sort == SortOrder.SCORE else newest_first(page, self.offset)


def answered(hits: Sequence[Hit], page: Page, *, found: bool, least: float | None) -> Answers:
    """Cut hits to a page.

    Args:
        hits: the best, best first.
        page: which of them are shown.
        found: whether anything matches.
        least: how likely a hit must be to be shown. None shows as many as are asked for, if
            anything matches; where all are asked for, those that are not faint (`FAINT`).
    """
    if least is None and not found:
        return Answers(hits=[], found=False, nearest=hits[0] if hits else None)
    if least is None:
        least = 0.0 if page.top else FAINT
    shown = [hit for hit in hits if hit.match is None or hit.match >= least]
    if not shown:
        return Answers(hits=[], found=not hits, nearest=hits[0] if hits else None)
    return Answers(
        hits=page.of(shown), found=True, matching=len(shown), left_out=len(hits) - len(shown)
    )

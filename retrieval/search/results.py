"""What a search returns: its hits, whether anything matches, and what a person should know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

from retrieval.search.hit import Hit
from retrieval.search.match_probability import FAINT
from retrieval.search.page import Page


@dataclass(frozen=True, kw_only=True)
class SearchResults(Sequence[Hit]):
    """The hits of one page, and what is known of all hits. It is a sequence of its hits.

    Attributes:
        hits: of the page, in the order that was asked for.
        found: whether anything matches; else there are no hits.
        nearest: the best hit where nothing matches; None if there was none at all.
        total: how many hits there are on all pages, as far as they were looked for: at least the
            first 50. `complete` tells whether these are all.
        complete: whether `total` counts all hits there are.
        left_out: how many hits were left out as too unlikely, as far as they were looked for.
        next: the offset of the next page; None if this is the last one.
        by_date: whether the newest hit comes first.
        message: why there is no hit, or how many more are no match; empty where there is nothing to
            say.
        notes: how the query was understood (which place a name means, what is taken away), and
            photos that the reranker could not read.
        doubts: which words of the query the model does not read or know, and what may be meant.
        took_ms: milliseconds by stage; see `retrieval.search.stage_times`.
    """

    hits: list[Hit]
    found: bool
    nearest: Hit | None = None
    total: int = 0
    complete: bool = True
    left_out: int = 0
    next: int | None = None
    by_date: bool = False
    message: str = ""
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    took_ms: Mapping[str, float] = field(default_factory=dict, compare=False)

    @property
    def hints(self) -> tuple[str, ...]:
        """All lines for the person who searches: `notes`, then `doubts`."""
        return self.notes + self.doubts

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Hit]: ...
    def __getitem__(self, place: int | slice) -> Hit | Sequence[Hit]:
        return self.hits[place]

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)


def calibrated(
    hits: Sequence[Hit], page: Page, *, found: bool, least: float | None, looked_for: int
) -> SearchResults:
    """Cut hits to those that match, and to a page of these.

    Args:
        hits: the best, best first.
        page: which of them are shown.
        found: whether anything matches.
        least: how likely a hit must be to be shown. None shows as many as are asked for, if
            anything matches; where all are asked for, those that are not faint (`FAINT`).
        looked_for: how many hits were looked for; 0 for all.
    """
    nearest = hits[0] if hits else None
    if least is None and not found:
        return SearchResults(hits=[], found=False, nearest=nearest)
    if least is None:
        least = 0.0 if page.top else FAINT
    shown = [hit for hit in hits if hit.match is None or hit.match >= least]
    if not shown:
        return SearchResults(hits=[], found=not hits, nearest=nearest)
    complete = not looked_for or len(shown) < looked_for
    more = bool(page.top) and page.reach < len(shown) + (not complete)
    return SearchResults(
        hits=page.of(shown),
        found=True,
        total=len(shown),
        complete=complete,
        left_out=len(hits) - len(shown),
        next=page.reach if more else None,
    )

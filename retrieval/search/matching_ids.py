"""All that matches a query: how many, and their ids by pages, without all that is known of them.

Of filters alone that is what they let through, the newest first. Of words and photos it is what a
search for all hits returns: the hits that do not hardly match.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from indexer.core.filters import AllOf
from indexer.library.library import Library
from retrieval.errors import QueryInvalid
from retrieval.search.library_search import SearchModels, search_library
from retrieval.search.search_request import Page, SearchRequest

MOST_IDS = 16_384
"""Ids of one page, and hits that are looked for to count them."""

_FIRST, _DEEPER = 1_024, 4  # hits that are looked for first, and times as many each time after


@dataclass(frozen=True, kw_only=True)
class MatchCount:
    """How many items match; at least so many where the count is not exact."""

    count: int
    exact: bool


@dataclass(frozen=True, kw_only=True)
class MatchingIds:
    """One page of the ids that match.

    Attributes:
        ids: best first; of filters alone, newest first. Of a video one, of its best frame.
        total: how many there are on all pages, as far as they were looked for.
        complete: whether `total` counts all.
        next: the offset of the next page; None if this is the last one.
    """

    ids: tuple[int, ...]
    total: int
    complete: bool
    next: int | None


def count_matches(library: Library, models: SearchModels, request: SearchRequest) -> MatchCount:
    """Count what matches.

    Raises:
        QueryInvalid: as `search_library`, which also says what else may be raised.
    """
    if request.query.is_filter:
        return MatchCount(count=len(_listed(library, request)), exact=True)
    depth = _FIRST
    while True:
        page = replace(request, page=Page(top=depth), without_faint=True)
        found = search_library(library, models, page)
        if found.complete or depth >= MOST_IDS:
            return MatchCount(count=found.total, exact=found.complete)
        depth = min(MOST_IDS, _DEEPER * depth)


def matching_ids(library: Library, models: SearchModels, request: SearchRequest) -> MatchingIds:
    """Return one page of the ids that match.

    Raises:
        QueryInvalid: as `search_library`, which also says what else may be raised; or the page is
            larger than any may be.
    """
    if not 0 < request.page.top <= MOST_IDS:
        raise QueryInvalid(f"a page has from 1 to {MOST_IDS:,} ids, not {request.page.top:,}")
    if request.query.is_filter:
        return _passing_ids(library, request)
    found = search_library(library, models, replace(request, without_faint=True))
    return MatchingIds(
        ids=tuple(hit.id for hit in found),
        total=found.total,
        complete=found.complete,
        next=found.next,
    )


def _passing_ids(library: Library, request: SearchRequest) -> MatchingIds:
    """Return one page of what the filters let through, the newest first."""
    ids, page = _listed(library, request), request.page
    return MatchingIds(
        ids=tuple(ids[page.offset : page.reach].tolist()),
        total=len(ids),
        complete=True,
        next=page.reach if page.reach < len(ids) else None,
    )


def _listed(library: Library, request: SearchRequest) -> NDArray[np.int64]:
    """Return the ids of all that the filters let through, the newest first. Shape (n,)."""
    where = request.query.where or AllOf()
    return library.listed(request.kind, where, frames=request.frames)

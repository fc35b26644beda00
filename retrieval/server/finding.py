"""Answer a search page by page, the same way for a written query and for one of terms."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastapi import Request

from retrieval._enums import SortOrder
from retrieval.api import PhotoLibrary
from retrieval.search.query import Query
from retrieval.search.results import UNLIKELY, Hit, SearchResults
from retrieval.search.search_request import by_date
from retrieval.server.cursors import cursor_of, state_of
from retrieval.server.hits import answered
from retrieval.server.metrics import Metrics
from retrieval.server.problems import Problem
from retrieval.server.schemas import SearchAnswer, SearchChoices

OVERLAP = 32
"""Hits before a page that are looked at again: where a commit has moved the last hit of the page
before by no more than that, the next page follows it without a gap."""

FARTHEST = 10_000_000
"""Where the last page begins at the latest: anyone can write a cursor."""

MOST_DATED = 1_000
"""Of a query with words so many of the best hits are ordered by date."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a page begins.

    Attributes:
        offset: how many hits came before.
        after: the id of the last of them; None for the first page.
    """

    offset: int = 0
    after: int | None = None

    @classmethod
    def of(cls, cursor: str | None, question: str) -> Place:
        """Read a cursor.

        Raises:
            Problem: it is none, or of another question.
        """
        if not cursor:
            return cls()
        match state_of(cursor, question):
            case {"offset": int(offset), "after": int(after)} if 0 <= offset <= FARTHEST:
                return cls(offset=offset, after=after)
        raise Problem("usage", f"pages end at {FARTHEST:,} hits; narrow the search by filters")

    def begin(self, hits: list[Hit], first: int) -> int:
        """Return which of some hits begins the page.

        Args:
            hits: some in their order.
            first: how many came before them.
        """
        ids = [hit.id for hit in hits]
        return ids.index(self.after) + 1 if self.after in ids else self.offset - first


def found(
    library: PhotoLibrary, query: Query, choices: SearchChoices, question: str, name: str
) -> SearchAnswer:
    """Return one page of what a query finds.

    Args:
        library: to search in.
        query: what is asked.
        choices: how.
        question: what a cursor is good for: all that is asked.
        name: of the library, for links.

    Raises:
        Problem: the cursor is none, or of another question.
    """
    place = Place.of(choices.cursor, question)
    dated = choices.sort != SortOrder.SCORE and not query.is_filter
    look = _dated_page if dated else _page
    results = look(library, query, choices, place)
    cursor = None
    if results.next is not None and results.hits:
        cursor = cursor_of({"offset": results.next, "after": results[-1].id}, question)
    return answered(results, query, cursor, name, library)


def counted(request: Request, answer: SearchAnswer) -> SearchAnswer:
    """Count the stages of a search in the server's metrics, and return its answer."""
    metrics: Metrics = request.app.state.metrics
    metrics.count_search(answer.took_ms)
    return answer


def _page(
    library: PhotoLibrary, query: Query, choices: SearchChoices, place: Place
) -> SearchResults:
    """Return a page in the order in which a search finds."""
    first = max(0, place.offset - OVERLAP)
    wanted = choices.limit + place.offset - first
    results = _searched(library, query, choices, wanted, first, choices.sort)
    begin = place.begin(results.hits, first)
    hits = results.hits[begin : begin + choices.limit]
    after = first + begin + len(hits)
    more = results.next is not None or first + len(results.hits) > after
    return replace(results, hits=hits, next=after if more else None)


def _dated_page(
    library: PhotoLibrary, query: Query, choices: SearchChoices, place: Place
) -> SearchResults:
    """Return a page of the hits that are likely, by date."""
    if choices.threshold is None:
        choices = choices.model_copy(update={"threshold": UNLIKELY})
    results = _searched(library, query, choices, MOST_DATED, 0, SortOrder.SCORE)
    ordered = by_date(results.hits, choices.sort)
    begin = place.begin(ordered, 0)
    hits = ordered[begin : begin + choices.limit]
    after = begin + len(hits)
    return replace(results, hits=hits, by_date=True, next=after if after < len(ordered) else None)


def _searched(
    library: PhotoLibrary,
    query: Query,
    choices: SearchChoices,
    k: int,
    offset: int,
    sort: SortOrder,
) -> SearchResults:
    """Search once."""
    return library.search(
        query,
        k=k,
        offset=offset,
        instruct=choices.instruct,
        target=choices.target.value,
        sort=sort,
        threshold=choices.threshold,
        rerank=choices.rerank,
        frames=choices.frames,
    )

"""What a search says to a person about its hits, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrieval.search.hit import Hit
    from retrieval.search.results import SearchResults
    from retrieval.search.search_request import SearchRequest


def verdict(results: SearchResults, request: SearchRequest) -> str:
    """Say why there is no hit on a page, or how many more are no match; empty as a rule."""
    if results.hits:
        asked = request.page.top or len(results) + results.left_out
        left_out = min(asked - len(results), results.left_out)
        return f"{left_out:,} more left out as too unlikely" if left_out else ""
    if results.found and results.total:
        return f"nothing more matches beyond the first {results.total:,}"
    if results.nearest is not None:
        return f"nothing matches. The nearest is {_described(results.nearest)}"
    if request.query.where is not None:
        return f"nothing matches: no {request.kind} passes the filters {request.query.filters}"
    return "nothing matches"


def percent(match: float | None) -> str:
    """Say a probability for a person; nothing where it is not known."""
    return "" if match is None else f"{100 * match:.0f} %"


def _described(hit: Hit) -> str:
    """Say which hit it is, and how likely it is a match."""
    what = f'"{hit.text}" in {hit.path}' if hit.text else hit.where
    return what if hit.match is None else f"{what}, a match with {percent(hit.match)}"

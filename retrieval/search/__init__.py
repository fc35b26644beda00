"""A query becomes the best photos or texts. The names are loaded when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval._lazy import loader

if TYPE_CHECKING:
    from retrieval.search.library_search import SearchModels, search_library
    from retrieval.search.query import Query, Term, compose, parse_query
    from retrieval.search.results import Hit, SearchResults
    from retrieval.search.search_request import Page, RerankChoice, Scoring, SearchRequest
    from retrieval.search.searcher import Searcher

__all__ = [
    "Hit",
    "Page",
    "Query",
    "RerankChoice",
    "Scoring",
    "SearchModels",
    "SearchRequest",
    "SearchResults",
    "Searcher",
    "Term",
    "compose",
    "parse_query",
    "search_library",
]

__getattr__ = loader(
    __name__,
    {
        "retrieval.search.library_search": ("SearchModels", "search_library"),
        "retrieval.search.query": ("Query", "Term", "compose", "parse_query"),
        "retrieval.search.results": ("Hit", "SearchResults"),
        "retrieval.search.search_request": ("Page", "RerankChoice", "Scoring", "SearchRequest"),
        "retrieval.search.searcher": ("Searcher",),
    },
)

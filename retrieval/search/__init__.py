"""A query becomes the best photos or texts. The names are loaded when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval._lazy import loader

if TYPE_CHECKING:
    from retrieval.search.hit import Hit
    from retrieval.search.library_search import search_library
    from retrieval.search.page import Page
    from retrieval.search.query import Query, Term, compose, parse_query
    from retrieval.search.results import SearchResults
    from retrieval.search.search_models import SearchModels
    from retrieval.search.search_request import RerankChoice, Scoring, SearchRequest
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
        "retrieval.search.hit": ("Hit",),
        "retrieval.search.library_search": ("search_library",),
        "retrieval.search.page": ("Page",),
        "retrieval.search.query": ("Query", "Term", "compose", "parse_query"),
        "retrieval.search.results": ("SearchResults",),
        "retrieval.search.search_models": ("SearchModels",),
        "retrieval.search.search_request": ("RerankChoice", "Scoring", "SearchRequest"),
        "retrieval.search.searcher": ("Searcher",),
    },
)

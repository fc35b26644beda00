"""Search: a query becomes the best photos or texts."""

from __future__ import annotations

from retrieval.search.hit import Hit, newest_first
from retrieval.search.prompt_ensemble import ensemble
from retrieval.search.query import Query, Term, compose, parse_query
from retrieval.search.results import Answers, Page
from retrieval.search.searcher import Searcher

__all__ = [
    "Answers",
    "Hit",
    "Page",
    "Query",
    "Searcher",
    "Term",
    "compose",
    "ensemble",
    "newest_first",
    "parse_query",
]

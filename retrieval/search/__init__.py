"""A question becomes the best photos or texts."""

from __future__ import annotations

from retrieval.search.hit import Hit, newest_first
from retrieval.search.matching import default_threshold
from retrieval.search.prompts import ensemble
from retrieval.search.query import Query, Term, compose, parse_query
from retrieval.search.searcher import Searcher

__all__ = [
    "Hit",
    "Query",
    "Searcher",
    "Term",
    "compose",
    "default_threshold",
    "ensemble",
    "newest_first",
    "parse_query",
]

"""A question becomes the best photos or texts."""

from __future__ import annotations

from retrieval.search.hit import Hit
from retrieval.search.prompts import ensemble
from retrieval.search.query import Query, parse_query
from retrieval.search.searcher import Searcher

__all__ = ["Hit", "Query", "Searcher", "ensemble", "parse_query"]

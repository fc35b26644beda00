"""Hits and items as the API shows them."""

from __future__ import annotations

from typing import Literal, TypeAlias
from urllib.parse import quote

from indexer.core.types import Kind, readable
from retrieval.api import PhotoLibrary
from retrieval.search.filter_syntax import split_filters, written_filters
from retrieval.search.query import Query
from retrieval.search.results import UNLIKELY, Hit, SearchResults
from retrieval.server.schemas import (
    About,
    HitModel,
    LineModel,
    NothingModel,
    QueryModel,
    SearchAnswer,
    UnderstoodTerm,
)

Likelihood: TypeAlias = Literal["very likely", "likely", "perhaps", "unlikely"]

VERY_LIKELY, LIKELY = 0.9, 0.5
"""From these probabilities on, a hit is called so."""


def answered(
    results: SearchResults, query: Query, cursor: str | None, name: str, library: PhotoLibrary
) -> SearchAnswer:
    """Return one page of results as the API shows it."""
    nearest = None if results.nearest is None else shown(results.nearest, name)
    unlikely = (place for place, hit in enumerate(results) if not hit.likely)
    return SearchAnswer(
        hits=[shown(hit, name) for hit in results],
        total=results.total,
        complete=results.complete,
        next=cursor,
        nothing=None if results.total or results.hits else NothingModel(nearest=nearest),
        message=readable(results.message),
        hints=[readable(line) for line in results.hints],
        took_ms={stage: round(ms, 2) for stage, ms in results.took_ms.items()},
        model=library.model,
        query=_understood(query),
        by_date=results.by_date,
        divider=None if results.by_date else next(unlikely, None),
    )


def shown(hit: Hit, library: str) -> HitModel:
    """Return a hit of a library as the API shows it."""
    return HitModel(
        id=hit.id,
        rank=hit.rank,
        score=round(hit.score, 6),
        match=None if hit.match is None else round(hit.match, 4),
        likely=None if hit.match is None else hit.likely,
        likelihood=likelihood(hit.match),
        kind=hit.kind.value,
        path=readable(str(hit.path)),
        name=readable(hit.path.name),
        folder=readable(str(hit.path.parent)),
        time=hit.time,
        text=readable(hit.text),
        width=hit.about.width,
        height=hit.about.height,
        thumb=_link(hit.id, "thumb", library, hit.version) if hit.version else None,
        original=_link(hit.id, "original", library),
        about=_about(hit),
        lines=[LineModel(text=line.text, box=line.box) for line in hit.lines],
    )


def likelihood(match: float | None) -> Likelihood | None:
    """Say in words how likely a hit is a match."""
    if match is None:
        return None
    if match >= VERY_LIKELY:
        return "very likely"
    if match >= LIKELY:
        return "likely"
    return "perhaps" if match >= UNLIKELY else "unlikely"


def _understood(query: Query) -> QueryModel:
    """Say how a query was understood."""
    terms = [(term.query, term.weight) for term in query.terms] or [(query, 1.0)]
    filters = split_filters(query.filters)[1]
    return QueryModel(
        terms=[_term(each, weight) for each, weight in terms if not each.is_filter],
        filters=[readable(written_filters([each])) for each in filters],
    )


def _term(query: Query, weight: float) -> UnderstoodTerm:
    """Say what a term of a query is."""
    if query.kind == Kind.TEXT:
        return UnderstoodTerm(text=readable(query.text), item=None, picture=None, weight=weight)
    return UnderstoodTerm(text=None, item=query.item, picture=query.key or None, weight=weight)


def _link(item: int, what: str, library: str, version: str = "") -> str:
    """Return the address of something of an item."""
    named = f"library={quote(library, safe='')}"
    return f"/api/v1/items/{item}/{what}?" + (f"v={version}&{named}" if version else named)


def _about(hit: Hit) -> About:
    """Return what a photo says about itself."""
    about = hit.about
    return About(
        taken=about.taken,
        place=readable(about.place),
        latitude=about.latitude,
        longitude=about.longitude,
        camera=readable(about.camera),
        lens=readable(about.lens),
        rating=about.rating,
        keywords=[readable(each) for each in about.keywords],
        title=readable(about.title),
        caption=readable(about.caption),
        also=[readable(each) for each in about.also],
    )

"""Search: by words in the command line's grammar, or spelled out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Request

from retrieval.api import PhotoLibrary
from retrieval.search.term_names import PictureSource, QueryTerm
from retrieval.server.finding import counted, found
from retrieval.server.libraries import ChosenLibrary
from retrieval.server.pictures import SentPictures
from retrieval.server.schemas import SearchAnswer, SearchBody, SearchParameters

router = APIRouter(prefix="/api/v1", tags=["search"])


async def _pictures(request: Request) -> PictureSource:
    """Return what gives the pictures that were sent."""
    sent: SentPictures = request.app.state.pictures
    return sent.image


Pictures = Annotated[PictureSource, Depends(_pictures)]
"""A parameter of a route that takes what `library.query` needs for `picture:ID`."""


@router.get("/search", operation_id="search")
async def search(
    request: Request,
    chosen: ChosenLibrary,
    pictures: Pictures,
    asked: Annotated[SearchParameters, Query()],
) -> SearchAnswer:
    """Find photos or texts by a written query; without one, all, the newest first."""

    def work(library: PhotoLibrary) -> SearchAnswer:
        query = library.query(asked.q, pictures=pictures)
        return found(library, query, asked, asked.question, chosen.name)

    return counted(request, await chosen.run(work))


@router.post("/search", operation_id="search_by_terms")
async def search_by_terms(
    request: Request,
    chosen: ChosenLibrary,
    pictures: Pictures,
    asked: Annotated[SearchBody, Body()],
) -> SearchAnswer:
    """Find photos or texts by terms and filters; without any, all, the newest first."""

    def work(library: PhotoLibrary) -> SearchAnswer:
        terms = [QueryTerm(**each.model_dump()) for each in asked.terms]
        where = " ".join(asked.where) or None
        query = library.query(terms=terms, where=where, pictures=pictures)
        return found(library, query, asked, asked.question, chosen.name)

    return counted(request, await chosen.run(work))

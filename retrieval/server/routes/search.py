"""Search: by words in the command line's grammar, or spelled out."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query

from retrieval.api import PhotoLibrary
from retrieval.search.term_names import QueryTerm
from retrieval.server.cursors import cursor_of, state_of
from retrieval.server.hits import answered
from retrieval.server.libraries import ChosenLibrary
from retrieval.server.schemas import SearchAnswer, SearchBody, Target

router = APIRouter(prefix="/api/v1", tags=["search"])

Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/search", operation_id="search")
async def search(  # noqa: PLR0913 - a choice each
    chosen: ChosenLibrary,
    q: Annotated[str, Query(description="Words, filters and terms: beach + sunset after:2019")],
    target: Annotated[Target, Query(alias="for")] = Target.PHOTOS,
    limit: Limit = 60,
    cursor: str | None = None,
    sort: Literal["score", "date"] = "score",
    threshold: Annotated[float | None, Query(ge=0, le=1)] = None,
    instruct: str = "",
    rerank: bool | None = None,
    frames: bool = False,
) -> SearchAnswer:
    """Find photos or texts by a written query."""
    choices: dict[str, Any] = {"instruct": instruct, "sort": sort, "threshold": threshold}
    choices |= {"target": str(target), "rerank": rerank, "frames": frames}
    question = json.dumps([q, choices], sort_keys=True)
    offset = _offset(cursor, question)

    def work(library: PhotoLibrary) -> SearchAnswer:
        query = library.query(q)
        results = library.search(query, k=limit, offset=offset, **choices)
        following = cursor_of({"offset": results.next}, question) if results.next else None
        return answered(results, query, following, chosen.name, library)

    return await chosen.run(work)


@router.post("/search", operation_id="search_by_terms")
async def search_by_terms(
    chosen: ChosenLibrary, body: Annotated[SearchBody, Body()]
) -> SearchAnswer:
    """Find photos or texts by terms and filters."""
    choices: dict[str, Any] = {
        "instruct": body.instruct,
        "sort": body.sort,
        "threshold": body.threshold,
        "target": str(body.target),
        "rerank": body.rerank,
        "frames": body.frames,
    }
    question = body.model_dump_json(exclude={"cursor", "limit"})
    offset = _offset(body.cursor, question)

    def work(library: PhotoLibrary) -> SearchAnswer:
        terms = [QueryTerm(**each.model_dump()) for each in body.terms]
        query = library.query(terms=terms, where=" ".join(body.where) or None)
        results = library.search(query, k=body.limit, offset=offset, **choices)
        following = cursor_of({"offset": results.next}, question) if results.next else None
        return answered(results, query, following, chosen.name, library)

    return await chosen.run(work)


def _offset(cursor: str | None, question: str) -> int:
    """Return where a page begins."""
    return int(state_of(cursor, question)["offset"]) if cursor else 0

"""Copies in a library: what to keep, and why. Nothing is moved or deleted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from indexer.core.types import readable
from indexer.duplicates.finder import DuplicateFile, DuplicateGroup
from retrieval.api import PhotoLibrary
from retrieval.server.browsing_schemas import (
    DuplicateGroupModel,
    DuplicateModel,
    DuplicateParameters,
    DuplicatesAnswer,
)
from retrieval.server.duplicate_search import DuplicateSearch
from retrieval.server.hits import shown
from retrieval.server.libraries import ChosenLibrary

router = APIRouter(prefix="/api/v1", tags=["duplicates"])

MOST_GROUPS = 5_000
"""Groups of one answer."""

_WAIT: dict[int | str, dict[str, Any]] = {
    202: {"description": "Photos are being compared; ask again.", "model": DuplicatesAnswer}
}
_LIST: dict[int | str, dict[str, Any]] = {
    200: {"description": "Paths, one a line.", "content": {"text/plain": {}}},
    202: {"description": "Photos are being compared; ask again."},
}
_AGAIN = {"Retry-After": "1"}


def _search(request: Request, chosen: ChosenLibrary) -> DuplicateSearch:
    """Return the search for copies in the library that a request names."""
    found: DuplicateSearch = request.app.state.copies[chosen.name]
    return found


Copies = Annotated[DuplicateSearch, Depends(_search)]


@router.get("/duplicates", operation_id="duplicates", responses=_WAIT)
async def duplicates(
    chosen: ChosenLibrary,
    copies: Copies,
    asked: Annotated[DuplicateParameters, Query()],
    response: Response,
) -> DuplicatesAnswer:
    """Return the copies of photos; begin to look for them, where that was not done yet."""

    def work(library: PhotoLibrary) -> DuplicatesAnswer:
        groups, done, total = copies.state(library.counts().generation, asked.alike)
        if groups is None:
            return DuplicatesAnswer(groups=None, done=done, total=total)
        models = _models(library, groups[:MOST_GROUPS], chosen.name)
        more = max(0, len(groups) - MOST_GROUPS)
        return DuplicatesAnswer(groups=models, done=total, total=total, more=more)

    answer = await chosen.run(work)
    if answer.groups is None:
        response.status_code = HTTPStatus.ACCEPTED
        response.headers.update(_AGAIN)
    return answer


@router.get(
    "/duplicates/list", operation_id="list_duplicates", response_class=Response, responses=_LIST
)
async def list_duplicates(
    chosen: ChosenLibrary,
    copies: Copies,
    asked: Annotated[DuplicateParameters, Query()],
    kind: Annotated[
        Literal["exact", "near"], Query(description="Of exact copies, or of near ones.")
    ] = "exact",
) -> Response:
    """List the paths of copies that can be deleted without losing anything."""

    def work(library: PhotoLibrary) -> list[DuplicateGroup] | None:
        return copies.state(library.counts().generation, asked.alike)[0]

    groups = await chosen.run(work)
    if groups is None:
        return Response(status_code=HTTPStatus.ACCEPTED, headers=_AGAIN)
    spare = [path for group in groups if group.exact == (kind == "exact") for path in group.spare]
    body = b"".join(os.fsencode(path) + b"\n" for path in dict.fromkeys(spare))
    headers = {"Content-Disposition": f'attachment; filename="{kind}-copies.txt"'}
    return Response(body, headers=headers, media_type="text/plain; charset=utf-8")


def _models(
    library: PhotoLibrary, groups: Sequence[DuplicateGroup], name: str
) -> list[DuplicateGroupModel]:
    """Return groups as the API shows them."""
    ids = [copy.id for group in groups for copy in group.copies]
    hits = {hit.id: shown(hit, name).model_dump() for hit in library.items(ids)}
    return [
        DuplicateGroupModel(
            kind="exact" if group.exact else "near",
            alike=round(group.alike, 4),
            items=[
                _model(hits[copy.id], copy, group.why if place == 0 else "")
                for place, copy in enumerate(group.copies)
                if copy.id in hits
            ],
        )
        for group in groups
    ]


def _model(hit: dict[str, Any], copy: DuplicateFile, why: str) -> DuplicateModel:
    """Return a copy as the API shows it: the first is kept, and what has something of its own."""
    if copy.alone:
        why = f"only this copy has: {', '.join(copy.alone)}"
    size = {"width": copy.width, "height": copy.height, "bytes": copy.bytes}
    links = [readable(str(link)) for link in copy.links]
    return DuplicateModel(**{**hit, **size}, keep=bool(why), why=why, links=links)

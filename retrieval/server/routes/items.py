"""The items of a library, by their ids: never by a path."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from retrieval.api import PhotoLibrary
from retrieval.server.finding import counted, found
from retrieval.server.hits import shown
from retrieval.server.libraries import ChosenLibrary
from retrieval.server.schemas import FrameModel, ItemAnswer, SearchAnswer, SearchChoices

router = APIRouter(prefix="/api/v1/items", tags=["items"])

ItemId = Annotated[int, Path(ge=0, le=2**53, description="The id of an item, from a hit.")]


@router.get("/{item_id}", operation_id="get_item")
async def get_item(chosen: ChosenLibrary, item_id: ItemId) -> ItemAnswer:
    """Return what the library knows of one item."""

    def work(library: PhotoLibrary) -> ItemAnswer:
        hit = library.item(item_id)
        size = _size(hit.path)
        return ItemAnswer(
            **shown(hit, chosen.name).model_dump(),
            frames=[FrameModel(**vars(frame)) for frame in library.frames(item_id)],
            bytes=size or 0,
            reachable=size is not None,
        )

    return await chosen.run(work)


@router.get("/{item_id}/similar", operation_id="similar")
async def similar(
    request: Request,
    chosen: ChosenLibrary,
    item_id: ItemId,
    asked: Annotated[SearchChoices, Query()],
) -> SearchAnswer:
    """Find what is like an item; its own file is left out."""
    question = f"{item_id} {asked.question}"

    def work(library: PhotoLibrary) -> SearchAnswer:
        query = library.similar_query(item_id)
        return found(library, query, asked, question, chosen.name)

    return counted(request, await chosen.run(work))


def _size(path: FilePath) -> int | None:
    """Return the bytes of a file; None if it is not reachable."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return None

"""The items of a library, by their ids: never by a path."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from retrieval.api import PhotoLibrary
from retrieval.server.hits import shown
from retrieval.server.libraries import ChosenLibrary
from retrieval.server.schemas import ItemAnswer

router = APIRouter(prefix="/api/v1/items", tags=["items"])

ItemId = Annotated[int, Path(ge=0, le=2**53, description="The id of an item, from a hit.")]


@router.get("/{item_id}", operation_id="get_item")
async def get_item(chosen: ChosenLibrary, item_id: ItemId) -> ItemAnswer:
    """Return what the library knows of one item."""

    def work(library: PhotoLibrary) -> ItemAnswer:
        hit = library.item(item_id)
        known = shown(hit, chosen.name).model_dump()
        return ItemAnswer(**known, reachable=hit.path.is_file())

    return await chosen.run(work)

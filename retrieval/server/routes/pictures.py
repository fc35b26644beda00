"""The pictures of items: thumbnails, and the files themselves."""

from __future__ import annotations

from enum import IntEnum
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from indexer.library.item_files import Original, Thumbnail
from retrieval.api import PhotoLibrary
from retrieval.server.conditional import known_tags
from retrieval.server.libraries import ChosenLibrary
from retrieval.server.originals import OriginalResponse
from retrieval.server.routes.items import ItemId

router = APIRouter(prefix="/api/v1/items", tags=["items"])


class ThumbSize(IntEnum):
    """Pixels of the longer side of a thumbnail."""

    SMALL = 256
    LARGE = 1024


FOR_EVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"

_WEBP: dict[int | str, dict[str, Any]] = {
    200: {"description": "A WebP picture.", "content": {"image/webp": {}}},
    304: {"description": "The client has it already."},
}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"*/*": {}}},
    206: {"description": "The part of it that was asked for.", "content": {"*/*": {}}},
    304: {"description": "The client has it already."},
}


@router.get("/{item_id}/thumb", operation_id="get_thumb", response_class=Response, responses=_WEBP)
async def get_thumb(
    request: Request,
    chosen: ChosenLibrary,
    item_id: ItemId,
    size: Annotated[ThumbSize, Query(description="Pixels of the longer side.")] = ThumbSize.SMALL,
    v: Annotated[str, Query(max_length=64, description="Version, as hits have it.")] = "",
) -> Response:
    """Return a small picture of a photo or of a frame. With its version it never changes."""
    ending = f"-{size}"
    tags = known_tags(request.headers)
    known = next((tag.removesuffix(ending) for tag in tags if tag.endswith(ending)), "")

    def work(library: PhotoLibrary) -> Thumbnail:
        return library.thumbnail(item_id, size, wanted=v, known=known)

    thumbnail = await chosen.show(work)
    headers = {
        "ETag": f'"{thumbnail.version}{ending}"',
        "Cache-Control": FOR_EVER if v == thumbnail.version else ASK_AGAIN,
    }
    if not thumbnail.webp:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(thumbnail.webp, media_type="image/webp", headers=headers)


@router.get(
    "/{item_id}/original", operation_id="get_original", response_class=Response, responses=_FILE
)
async def get_original(request: Request, chosen: ChosenLibrary, item_id: ItemId) -> Response:
    """Return the file of an item, or a part of it (Range)."""

    def work(library: PhotoLibrary) -> Original:
        return library.original(item_id)

    return OriginalResponse(await chosen.show(work), request.headers)

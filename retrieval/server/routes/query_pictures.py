"""Pictures to search with: sent once, then named in queries as `picture:ID`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from retrieval.server.schemas import PictureAnswer

router = APIRouter(prefix="/api/v1/queries", tags=["search"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("", operation_id="send_picture", openapi_extra=_BODY)
async def send_picture(request: Request) -> PictureAnswer:
    """Keep a picture to search with; the body is the bytes of its file."""
    data, state = await request.body(), request.app.state
    sent = await state.workers.run(lambda: state.pictures.add(data))
    return PictureAnswer(
        id=sent.id,
        width=sent.width,
        height=sent.height,
        thumb=f"/api/v1/queries/{sent.id}/thumb",
        expires=datetime.fromtimestamp(sent.expires, UTC),
    )


@router.get("/{picture_id}/thumb", operation_id="get_picture_thumb", response_class=Response)
async def get_picture_thumb(
    request: Request, picture_id: Annotated[str, Path(max_length=64)]
) -> Response:
    """Return a picture that was sent, in small, as WebP."""
    state = request.app.state
    data = await state.workers.run(lambda: state.pictures.thumb(picture_id))
    return Response(data, media_type="image/webp", headers={"Cache-Control": "private, immutable"})

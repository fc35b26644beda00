"""Server-sent events: what changes in the libraries, and how far long work is."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from retrieval.server.events import EventHub

router = APIRouter(prefix="/api/v1", tags=["libraries"])

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events as they come: `library` when a library changes (what /libraries "
        "says of it), `index` while an index run writes to it, `duplicates` and `learning` while "
        "photos are compared or a name is learned.",
        "content": {"text/event-stream": {}},
    }
}


@router.get("/events", operation_id="events", response_class=StreamingResponse, responses=_STREAM)
async def events(request: Request) -> StreamingResponse:
    """Follow what happens, for as long as the connection is open."""
    hub: EventHub = request.app.state.events
    hub.check_room()
    closing = getattr(request.app.state, "closing", None) or asyncio.Event()
    return StreamingResponse(
        hub.listen(closing),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )

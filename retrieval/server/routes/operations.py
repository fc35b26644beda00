"""What whoever runs the server asks: is it alive, is it ready, how is it doing."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from retrieval.server.libraries import EveryLibrary
from retrieval.server.metrics import Metrics, gauge
from retrieval.server.problems import Problem

router = APIRouter(tags=["operations"])

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Counts and times.", "content": {"text/plain": {}}}
}


class Alive(BaseModel):
    """The server answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The models are loaded."""

    status: Literal["ready"] = "ready"


@router.get("/healthz", operation_id="healthz")
async def healthz() -> Alive:
    """Say that the server answers."""
    return Alive()


@router.get("/readyz", operation_id="readyz")
async def readyz(every: EveryLibrary) -> Ready:
    """Say whether the models are loaded, so that a search is answered at once."""
    cold = [each.name for each in every if not each.warm]
    if cold:
        raise Problem("busy", f"the models of {', '.join(cold)} are being loaded", retry_after=1)
    return Ready()


@router.get("/metrics", operation_id="metrics", response_class=Response, responses=_TEXT)
async def metrics(request: Request, every: EveryLibrary) -> Response:
    """Return counts and times in the text format of Prometheus."""
    counted: Metrics = request.app.state.metrics
    served = list(every)
    looked = [request.app.state.workers.run(each.status) for each in served]
    pairs = list(zip(served, await asyncio.gather(*looked), strict=True))
    held = [((("library", each.name),), each.workers.held) for each in served]
    states = [((("library", each.name), ("state", status.state)), 1) for each, status in pairs]
    sizes = [
        ((("library", each.name), ("kind", kind)), getattr(status.counts, kind))
        for each, status in pairs
        if status.counts is not None
        for kind in ("photos", "videos", "texts")
    ]
    lines = [
        *counted.lines(),
        *gauge("twinlens_queue", "Requests that are worked on or wait.", held),
        *gauge("twinlens_library_state", "How each library is.", states),
        *gauge("twinlens_library_items", "What each library holds.", sizes),
    ]
    return Response("\n".join([*lines, ""]), media_type=PROMETHEUS)

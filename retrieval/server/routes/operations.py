"""What whoever runs the server asks: is it alive, is it ready, how is it doing."""

from __future__ import annotations

from fastapi import APIRouter, Response

from retrieval.server.libraries import EveryLibrary
from retrieval.server.problems import Problem

router = APIRouter(tags=["operations"])


@router.get("/healthz", operation_id="healthz")
async def healthz() -> dict[str, str]:
    """Say that the server answers."""
    return {"status": "ok"}


@router.get("/readyz", operation_id="readyz")
async def readyz(every: EveryLibrary) -> dict[str, str]:
    """Say whether the models are loaded, so that a search is answered at once."""
    cold = [each.name for each in every if not each.warm]
    if cold:
        raise Problem("busy", f"the models of {', '.join(cold)} are being loaded", retry_after=1)
    return {"status": "ready"}


@router.get("/metrics", operation_id="metrics", response_class=Response)
async def metrics(every: EveryLibrary) -> Response:
    """Return counts and times in the text format of Prometheus."""
    del every
    return Response("", media_type="text/plain; version=0.0.4")

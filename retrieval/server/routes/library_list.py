"""The libraries of the server, and how they are."""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import APIRouter, Request

from retrieval.server.libraries import EveryLibrary
from retrieval.server.library_models import described
from retrieval.server.schemas import LibrariesAnswer

router = APIRouter(prefix="/api/v1", tags=["libraries"])


@router.get("/libraries", operation_id="list_libraries")
async def list_libraries(request: Request, every: EveryLibrary) -> LibrariesAnswer:
    """List the libraries, the default one first."""
    looked = [request.app.state.workers.run(partial(described, each)) for each in every]
    return LibrariesAnswer(libraries=list(await asyncio.gather(*looked)))

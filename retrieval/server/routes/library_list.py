"""The libraries of the server, and how they are."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from retrieval.server.libraries import EveryLibrary
from retrieval.server.schemas import LibrariesAnswer

router = APIRouter(prefix="/api/v1", tags=["libraries"])


@router.get("/libraries", operation_id="list_libraries")
async def list_libraries(every: EveryLibrary) -> LibrariesAnswer:
    """List the libraries, the default one first."""
    described = [asyncio.to_thread(each.described) for each in every]
    return LibrariesAnswer(libraries=list(await asyncio.gather(*described)))

"""The libraries of the server, and how they are."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request

from indexer.core.types import readable
from retrieval.api import LibraryCounts
from retrieval.server.libraries import EveryLibrary, LibraryStatus
from retrieval.server.schemas import LibrariesAnswer, LibraryModel

router = APIRouter(prefix="/api/v1", tags=["libraries"])


@router.get("/libraries", operation_id="list_libraries")
async def list_libraries(request: Request, every: EveryLibrary) -> LibrariesAnswer:
    """List the libraries, the default one first."""
    served = list(every)
    looked = [request.app.state.workers.run(each.status) for each in served]
    every_status = await asyncio.gather(*looked)
    pairs = zip(served, every_status, strict=True)
    return LibrariesAnswer(libraries=[_described(each.name, status) for each, status in pairs])


def _described(name: str, status: LibraryStatus) -> LibraryModel:
    """Return a library as the API shows it."""
    counts = status.counts or LibraryCounts()
    return LibraryModel(
        name=name,
        state=status.state,
        message=readable(status.message),
        photos=counts.photos,
        videos=counts.videos,
        texts=counts.texts,
        model=status.model,
        generation=counts.generation,
    )

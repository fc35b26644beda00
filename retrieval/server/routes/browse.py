"""What stands around a search: facets, completions, counts, ids, export, what a library holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import iterate_in_threadpool

from indexer.core.types import readable
from retrieval.api import PhotoLibrary
from retrieval.search.downloads import DownloadFormat
from retrieval.search.facets import FacetValue
from retrieval.search.matching_ids import MOST_IDS
from retrieval.search.term_names import PictureSource
from retrieval.server.browsing_schemas import (
    CountAnswer,
    ExportBody,
    FacetModel,
    FacetParameters,
    FacetsAnswer,
    IdParameters,
    IdsAnswer,
    InfoAnswer,
    MatchParameters,
    SuggestAnswer,
    SuggestionModel,
    SuggestParameters,
)
from retrieval.server.cursors import cursor_of, state_of
from retrieval.server.libraries import ChosenLibrary, ServedLibrary
from retrieval.server.routes.search import Pictures

router = APIRouter(prefix="/api/v1", tags=["around a search"])

MEDIA_TYPES = {
    DownloadFormat.LIST: ("text/plain; charset=utf-8", "txt"),
    DownloadFormat.CSV: ("text/csv; charset=utf-8", "csv"),
    DownloadFormat.JSON: ("application/x-ndjson", "jsonl"),
    DownloadFormat.ZIP: ("application/zip", "zip"),
}
"""The type of each export, and how its name ends."""

_DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A file to save.",
        "content": {media.partition(";")[0]: {} for media, _ in MEDIA_TYPES.values()},
    }
}


@router.get("/facets", operation_id="facets")
async def facets(chosen: ChosenLibrary, asked: Annotated[FacetParameters, Query()]) -> FacetsAnswer:
    """Count what the photos have that pass the filters of a query."""
    found = await chosen.run(
        lambda library: library.facets(
            asked.q, target=asked.target.value, groups=asked.groups, limit=asked.limit
        )
    )
    return FacetsAnswer(
        total=found.total,
        facets={group: [_facet(each) for each in values] for group, values in found.groups.items()},
        more=dict(found.more),
    )


@router.get("/suggest", operation_id="suggest")
async def suggest(
    chosen: ChosenLibrary, asked: Annotated[SuggestParameters, Query()]
) -> SuggestAnswer:
    """Complete a query while it is typed."""
    found = await chosen.run(
        lambda library: library.suggest(
            asked.q, asked.at, target=asked.target.value, limit=asked.limit
        )
    )
    models = [SuggestionModel(**vars(each)) for each in found]
    return SuggestAnswer(suggestions=models)


@router.get("/count", operation_id="count")
async def count(
    chosen: ChosenLibrary, pictures: Pictures, asked: Annotated[MatchParameters, Query()]
) -> CountAnswer:
    """Count all that matches a query."""

    def work(library: PhotoLibrary) -> CountAnswer:
        query = library.query(asked.q, pictures=pictures)
        found = library.count(query, **_how(asked))
        return CountAnswer(count=found.count, exact=found.exact)

    return await chosen.run(work)


@router.get("/ids", operation_id="ids")
async def ids(
    chosen: ChosenLibrary, pictures: Pictures, asked: Annotated[IdParameters, Query()]
) -> IdsAnswer:
    """List the ids of all that matches a query, page by page."""
    question = asked.model_dump_json(exclude={"cursor", "limit"})
    offset = int(state_of(asked.cursor, question)["offset"]) if asked.cursor else 0

    def work(library: PhotoLibrary) -> IdsAnswer:
        query = library.query(asked.q, pictures=pictures)
        page = library.ids(query, limit=asked.limit, offset=offset, **_how(asked))
        following = cursor_of({"offset": page.next}, question) if page.next else None
        return IdsAnswer(
            ids=list(page.ids), total=page.total, complete=page.complete, next=following
        )

    return await chosen.run(work)


@router.post(
    "/export", operation_id="export", response_class=StreamingResponse, responses=_DOWNLOAD
)
async def export(
    chosen: ChosenLibrary, pictures: Pictures, body: Annotated[ExportBody, Body()]
) -> StreamingResponse:
    """Save items as a list of paths, a table, lines of JSON, or a ZIP of their files."""
    wanted = body.ids
    if wanted is None:
        wanted = await chosen.run(lambda library: _matching(library, pictures, body))
    media, suffix = MEDIA_TYPES[body.form]
    stamp = datetime.now().astimezone().strftime("%Y-%m-%d")
    headers = {"Content-Disposition": f'attachment; filename="photos-{stamp}.{suffix}"'}
    pieces = _downloaded(chosen, wanted, body.form)
    return StreamingResponse(_closing(pieces), media_type=media, headers=headers)


@router.get("/info", operation_id="info")
async def info(chosen: ChosenLibrary) -> InfoAnswer:
    """Say what a library holds."""
    found = await chosen.run(lambda library: library.info())
    told = found.described
    return InfoAnswer(
        name=chosen.name,
        folder=readable(str(chosen.folder)),
        photos=found.photos,
        videos=found.videos,
        frames=found.frames,
        texts=found.texts,
        skipped=found.skipped,
        folders=[readable(str(folder)) for folder in found.folders],
        model=found.model,
        fingerprint=found.fingerprint,
        dim=found.dim,
        format=found.format,
        bytes=found.bytes,
        first=told.first,
        last=told.last,
        dated=told.dated,
        placed=told.placed,
    )


def _facet(value: FacetValue) -> FacetModel:
    """Return a value as the API shows it."""
    return FacetModel(
        value=value.value,
        label=value.label,
        filter=value.filter,
        count=value.count,
        selected=value.selected,
        children=[_facet(each) for each in value.children],
    )


def _how(asked: MatchParameters) -> dict[str, Any]:
    """Return how it is searched."""
    return {
        "target": asked.target.value,
        "instruct": asked.instruct,
        "threshold": asked.threshold,
        "rerank": asked.rerank,
        "frames": asked.frames,
    }


def _matching(library: PhotoLibrary, pictures: PictureSource, body: ExportBody) -> list[int]:
    """Return the ids of all that matches a query."""
    query = library.query(body.q, pictures=pictures)
    found: list[int] = []
    offset: int | None = 0
    while offset is not None:
        page = library.ids(query, limit=MOST_IDS, offset=offset, **_how(body))
        found += page.ids
        offset = page.next
    return found


def _downloaded(
    chosen: ServedLibrary, wanted: list[int], form: DownloadFormat
) -> Generator[bytes, None, None]:
    """Yield a download; the library stays open until it ends."""
    with chosen.leased() as library:
        yield from library.download(wanted, form)


async def _closing(pieces: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    """Yield pieces that are made in threads, and let go of files also if the client leaves."""
    try:
        async for piece in iterate_in_threadpool(pieces):
            if piece:
                yield piece
    finally:
        pieces.close()

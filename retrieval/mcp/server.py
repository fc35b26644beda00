"""The tools for agents, over one library. They change nothing, and read no path that they are told.

Words in photos and their captions may address the agent. They are answered as data; nothing here
acts on them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Literal, ParamSpec, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ImageContent, TextContent, ToolAnnotations
from pydantic import Field

from indexer.core.errors import FileUnreadable, TwinlensError
from indexer.core.types import readable
from retrieval.api import PhotoLibrary
from retrieval.mcp.answers import (
    CountAnswer,
    FacetsAnswer,
    PhotoDetails,
    PhotoView,
    SearchAnswer,
    ViewAnswer,
    facets_answer,
    photo_details,
    search_answer,
)
from retrieval.numbered_sheet import MOST

INSTRUCTIONS = """\
Search a person's own photos, videos and notes, on this machine. Nothing is changed.
Queries are plain English words, with terms to add or take away: "beach + sunset - people".
Filters in a query: after:2019 before:2021-06 near:Rome camera:x100 in:FOLDER tag:family type:video
min-rating:4 orientation:portrait; a minus before a filter takes away: -tag:family. A term item:ID
asks for photos like one that was found.
First search_photos, then contact_sheet to compare many hits, or view_photos to see a few in detail.
A match below 0.2 is unlikely. If found is false, the library has nothing like it: say so."""

_MOST_VIEWED = 8  # a picture of 1,024 pixels costs a model some 1,500 tokens
_READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)

P = ParamSpec("P")
T = TypeVar("T")

QueryText = Annotated[str, Field(max_length=2_000, description="Words, terms and filters.")]
ItemId = Annotated[int, Field(ge=0, description="The id of a photo that was found.")]


def build_server(library: PhotoLibrary, version: str) -> MCPServer:
    """Make a server whose tools search a library."""
    server = MCPServer("twinlens", instructions=INSTRUCTIONS, version=version, log_level="WARNING")
    for tool in (*_search_tools(library), *_picture_tools(library)):
        server.add_tool(_answering(tool), annotations=_READ_ONLY)
    return server


def _search_tools(library: PhotoLibrary) -> tuple[Callable[..., object], ...]:
    """Return the tools that find photos."""

    def search_photos(
        query: QueryText,
        limit: Annotated[int, Field(ge=1, le=100)] = 20,
        start: Annotated[int, Field(ge=0, description="next of the page before.")] = 0,
        instruct: Annotated[
            str, Field(max_length=500, description='What hits must be like: "no people".')
        ] = "",
        sort: Literal["score", "date"] = "score",
        target: Annotated[
            Literal["photos", "texts"], Field(description="texts finds notes and captions.")
        ] = "photos",
    ) -> SearchAnswer:
        """Find photos, videos or texts by words, filters, and photos that were found before."""
        results = library.search(
            library.query(query),
            k=limit,
            offset=start,
            instruct=instruct,
            sort=sort,
            target=target,
        )
        return search_answer(results, start)

    def list_facets(
        query: Annotated[str, Field(max_length=2_000, description="Only its filters count.")] = "",
        limit: Annotated[int, Field(ge=1, le=200, description="Values of a group.")] = 20,
    ) -> FacetsAnswer:
        """List the dates, places, cameras, folders, keywords, types and ratings of photos, with
        counts and with the filter that selects each."""
        return facets_answer(library.facets(query, limit=limit))

    def count(query: QueryText) -> CountAnswer:
        """Count the photos that a query finds."""
        found = library.count(library.query(query))
        return CountAnswer(count=found.count, exact=found.exact)

    return search_photos, list_facets, count


def _picture_tools(library: PhotoLibrary) -> tuple[Callable[..., object], ...]:
    """Return the tools that show photos."""

    def view_photos(
        ids: Annotated[list[ItemId], Field(min_length=1, max_length=_MOST_VIEWED)],
        size: Annotated[Literal[256, 1024], Field(description="Pixels.")] = 1024,
    ) -> Annotated[CallToolResult, ViewAnswer]:
        """Look at some photos, or frames of videos, as pictures."""
        shown: list[PhotoView] = []
        pictures: list[bytes] = []
        for number, item in enumerate(ids, start=1):
            view, webp = _viewed(library, item, number, size)
            shown.append(view)
            pictures += [webp] if webp else []
        return _pictured(ViewAnswer(photos=shown), pictures)

    def contact_sheet(
        ids: Annotated[list[ItemId], Field(min_length=1, max_length=MOST)],
    ) -> Annotated[CallToolResult, ViewAnswer]:
        """Look at many photos at once: one picture with all of them small, numbered from 1."""
        views = [_viewed(library, item, number, 256)[0] for number, item in enumerate(ids, 1)]
        return _pictured(ViewAnswer(photos=views), [library.numbered_sheet(ids)])

    def get_photo(id: ItemId) -> PhotoDetails:
        """Return all that is known of one photo: date, place, camera, keywords, caption."""
        return photo_details(library, id)

    return view_photos, contact_sheet, get_photo


def _answering(tool: Callable[P, T]) -> Callable[P, T]:
    """Make a tool answer what goes wrong in words that an agent can use."""

    @wraps(tool)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return tool(*args, **kwargs)
        except TwinlensError as error:
            raise ToolError(readable(str(error))) from error

    return wrapped


def _viewed(library: PhotoLibrary, item: int, number: int, size: int) -> tuple[PhotoView, bytes]:
    """Return what is said of a picture, and the picture; nothing if it cannot be shown."""
    hit = library.item(item)
    view = PhotoView(number=number, id=item, path=readable(str(hit.path)))
    try:
        return view, library.thumbnail(item, size, wanted=hit.version).webp
    except (FileUnreadable, TwinlensError) as error:
        return view.model_copy(update={"problem": readable(str(error))}), b""


def _pictured(answer: ViewAnswer, pictures: list[bytes]) -> CallToolResult:
    """Return pictures, and what is said of them, as data and as text."""
    images = [
        ImageContent(type="image", data=b64encode(webp).decode("ascii"), mime_type="image/webp")
        for webp in pictures
    ]
    text = TextContent(type="text", text=answer.model_dump_json(exclude_defaults=True))
    return CallToolResult(
        content=[text, *images], structured_content=answer.model_dump(mode="json")
    )

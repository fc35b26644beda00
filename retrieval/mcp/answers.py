"""What the tools answer, as pydantic models: a client gets them as data, and their schemas."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from indexer.core.types import Kind, readable
from retrieval.api import PhotoLibrary
from retrieval.search.facets import Facets, FacetValue
from retrieval.search.results import Hit, SearchResults


class PhotoFound(BaseModel):
    """A photo, a frame of a video, or a passage of a text."""

    id: int = Field(description="For view_photos, contact_sheet and get_photo.")
    path: str
    match: float | None = Field(
        default=None, description="Probability that it shows what was asked for, from 0 to 1."
    )
    time: float | None = Field(default=None, description="Of a frame: seconds into its video.")
    text: str = Field(default="", description="The passage, of a text.")
    taken: datetime | None = None
    place: str = ""
    camera: str = ""
    caption: str = ""


class SearchAnswer(BaseModel):
    """One page of what was found, best first."""

    found: bool = Field(description="Whether anything matches. If not, see nearest.")
    photos: list[PhotoFound]
    total: int = Field(description="How many there are on all pages, as far as was looked.")
    complete: bool = Field(description="Whether total counts all there are.")
    remaining: int = Field(description="How many of total come after this page.")
    next: int | None = Field(description="Pass it as start for the next page; null on the last.")
    nearest: PhotoFound | None = Field(description="The best one where nothing matches.")
    message: str = ""
    hints: list[str] = Field(description="How the query was understood, and doubtful words.")


class PhotoView(BaseModel):
    """Whether a photo could be shown."""

    number: int = Field(description="Its number on the sheet, or its place among the pictures.")
    id: int
    path: str = ""
    problem: str = Field(default="", description="Why it is not shown; empty if it is.")


class ViewAnswer(BaseModel):
    """The photos that were shown, in their order."""

    photos: list[PhotoView]


class PhotoDetails(PhotoFound):
    """All that is known of one item."""

    kind: str
    width: int
    height: int
    lens: str
    rating: int | None
    keywords: list[str]
    title: str
    latitude: float | None
    longitude: float | None
    also: list[str] = Field(description="Other files of the same shot, by name.")


class FacetCount(BaseModel):
    """A value that photos have."""

    label: str
    filter: str = Field(description="Add it to a query to select these photos.")
    count: int


class FacetsAnswer(BaseModel):
    """Values of photos by group."""

    total: int = Field(description="Photos that pass the filters of the query.")
    facets: dict[str, list[FacetCount]]


class CountAnswer(BaseModel):
    """How many photos match."""

    count: int
    exact: bool = Field(description="Whether there are no more.")


def photo_found(hit: Hit) -> PhotoFound:
    """Return a hit as an answer has it."""
    return PhotoFound(**_told(hit))


def search_answer(results: SearchResults, start: int) -> SearchAnswer:
    """Return a page of results as an answer has it."""
    return SearchAnswer(
        found=results.found,
        photos=[photo_found(hit) for hit in results],
        total=results.total,
        complete=results.complete,
        remaining=max(0, results.total - start - len(results)),
        next=results.next,
        nearest=None if results.nearest is None or results.found else photo_found(results.nearest),
        message=readable(results.message),
        hints=[readable(line) for line in results.hints],
    )


def photo_details(library: PhotoLibrary, item: int) -> PhotoDetails:
    """Return all that a library knows of an item.

    Raises:
        ItemMissing: there is none.
    """
    hit = library.item(item)
    about = hit.about
    return PhotoDetails(
        **_told(hit),
        kind=hit.kind.value,
        width=about.width,
        height=about.height,
        lens=readable(about.lens),
        rating=about.rating,
        keywords=[readable(word) for word in about.keywords],
        title=readable(about.title),
        latitude=about.latitude,
        longitude=about.longitude,
        also=[readable(name) for name in about.also],
    )


def facets_answer(facets: Facets) -> FacetsAnswer:
    """Return counted values as an answer has them; of a tree, its first level."""
    return FacetsAnswer(
        total=facets.total,
        facets={
            group.value: [_facet(value) for value in values]
            for group, values in facets.groups.items()
        },
    )


def _facet(value: FacetValue) -> FacetCount:
    """Return a value as an answer has it."""
    return FacetCount(label=readable(value.label), filter=value.filter, count=value.count)


def _told(hit: Hit) -> dict[str, Any]:
    """Return what all answers say of an item."""
    return {
        "id": hit.id,
        "path": readable(str(hit.path)),
        "match": None if hit.match is None or hit.kind == Kind.TEXT else round(hit.match, 3),
        "time": hit.time,
        "text": readable(hit.text),
        "taken": hit.about.taken,
        "place": readable(hit.about.place),
        "camera": readable(hit.about.camera),
        "caption": readable(hit.about.caption),
    }

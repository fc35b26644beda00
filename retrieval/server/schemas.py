"""The requests and answers of the API, as pydantic models: the one source of its description."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """The base of all: nothing unknown is taken, nothing is changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(StrEnum):
    """What to find."""

    PHOTOS = "photos"
    TEXTS = "texts"


class About(Model):
    """What a photo says about itself; what it does not say is null or empty."""

    taken: datetime | None = None
    place: str = ""
    latitude: float | None = None
    longitude: float | None = None
    camera: str = ""
    lens: str = ""
    rating: int | None = None
    keywords: list[str] = []
    title: str = ""
    caption: str = ""
    also: list[str] = Field(default=[], description="Names of files of the same shot beside it.")


class HitModel(Model):
    """One photo, frame of a video, or passage of a text, as a search found it."""

    id: int
    rank: int
    score: float
    match: float | None = Field(description="How likely it is a match, from 0 to 1.")
    likely: bool | None
    likelihood: Literal["very likely", "likely", "perhaps", "unlikely"] | None
    kind: str
    path: str
    name: str
    folder: str
    time: float | None = Field(description="Seconds into its video, of a frame.")
    text: str
    width: int
    height: int
    thumb: str | None
    original: str | None
    about: About


class TermModel(Model):
    """One term of a query: words, a photo of the library, or a picture that was sent before."""

    text: str | None = None
    item: int | None = None
    picture: str | None = None
    weight: float = Field(default=1.0, description="Below 0 to take it away.")


class QueryModel(Model):
    """How a query was understood."""

    terms: list[TermModel]
    filters: list[str]


class NothingModel(Model):
    """Nothing matches: the nearest of all, if there is any."""

    nearest: HitModel | None


class SearchAnswer(Model):
    """One page of hits."""

    hits: list[HitModel]
    total: int
    complete: bool = Field(description="Whether `total` counts all hits there are.")
    next: str | None = Field(description="The cursor of the next page.")
    nothing: NothingModel | None
    message: str
    hints: list[str]
    took_ms: dict[str, float]
    model: str
    query: QueryModel
    by_date: bool
    divider: int | None = Field(description="The place of the first hit that is unlikely.")


class SearchBody(Model):
    """A search, spelled out."""

    terms: list[TermModel] = Field(default=[], max_length=32)
    where: list[str] = Field(default=[], max_length=100)
    target: Target = Field(default=Target.PHOTOS, alias="for")
    instruct: str = ""
    sort: Literal["score", "date"] = "score"
    threshold: float | None = Field(default=None, ge=0, le=1)
    limit: int = Field(default=60, ge=1, le=1000)
    cursor: str | None = None
    rerank: bool | None = None
    frames: bool = False


class ItemAnswer(HitModel):
    """One item of a library, with its file."""

    reachable: bool


class LibraryModel(Model):
    """One library of the server."""

    name: str
    state: str
    message: str
    photos: int
    videos: int
    texts: int
    model: str


class LibrariesAnswer(Model):
    """The libraries of the server, the default one first."""

    libraries: list[LibraryModel]


class ProblemModel(BaseModel):
    """What is wrong with a request, and what to do (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


class PictureAnswer(Model):
    """A picture that was sent; `picture:ID` names it in queries."""

    id: str
    width: int
    height: int
    thumb: str
    expires: datetime = Field(description="When it is forgotten, unless it is used.")

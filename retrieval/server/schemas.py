"""The requests and answers of the API, as pydantic models: the one source of its description."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from retrieval._enums import SortOrder

LONGEST = 2_000
"""Characters of a query, of a term, and of an instruction."""


class Model(BaseModel):
    """The base of all: nothing unknown is taken, nothing is changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(StrEnum):
    """What to find."""

    PHOTOS = "photos"
    TEXTS = "texts"


class LibraryState(StrEnum):
    """How a served library is."""

    READY = "ready"
    EMPTY = "empty"
    MISSING = "missing"
    LOCKED = "locked"
    DAMAGED = "damaged"


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


class LineModel(Model):
    """A line of text that a photo shows."""

    text: str
    box: tuple[float, float, float, float] = Field(
        description="Left, top, width and height, as shares of the picture's width and height."
    )


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
    lines: list[LineModel] = Field(
        description="Text that the photo shows: the lines that match; of an item, all of them."
    )


class TermModel(Model):
    """One term of a query: words, a photo of the library, or a picture that was sent before."""

    text: str | None = Field(default=None, max_length=LONGEST)
    item: int | None = Field(default=None, ge=0, le=2**53)
    picture: str | None = Field(default=None, max_length=64)
    weight: float = Field(
        default=1.0, ge=-100, le=100, description="Below 0 to take it away; not 0."
    )


class UnderstoodTerm(Model):
    """One term of a query, as it was understood."""

    text: str | None
    item: int | None
    picture: str | None
    weight: float


class QueryModel(Model):
    """How a query was understood."""

    terms: list[UnderstoodTerm]
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


class SearchChoices(Model):
    """How a search is answered."""

    model_config = ConfigDict(extra="ignore")

    target: Target = Field(default=Target.PHOTOS, alias="for", description="What to find.")
    instruct: str = Field(
        default="", max_length=LONGEST, description="What hits shall be like: no people"
    )
    sort: SortOrder = Field(
        default=SortOrder.SCORE, description="By date, hits that are unlikely are left out."
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="The least probability of a match."
    )
    limit: int = Field(default=60, ge=1, le=1000)
    cursor: str | None = Field(
        default=None, max_length=400, description="`next` of the page before."
    )
    rerank: bool | None = Field(default=None, description="Without, reranked where that gains.")
    frames: bool = Field(default=False, description="Every frame of a video that matches.")

    @property
    def question(self) -> str:
        """All that a cursor depends on."""
        return self.model_dump_json(exclude={"cursor", "limit"})


class SearchParameters(SearchChoices):
    """A search by a written query."""

    q: str = Field(
        default="",
        max_length=LONGEST,
        description="Words, filters and terms, as on the command line: beach + sunset after:2019. "
        "A term may be item:ID or picture:ID; a path is words.",
    )


class SearchBody(SearchChoices):
    """A search, spelled out."""

    model_config = ConfigDict(extra="forbid")

    terms: list[TermModel] = Field(default=[], max_length=32)
    where: list[Annotated[str, Field(max_length=LONGEST)]] = Field(default=[], max_length=100)


class FrameModel(Model):
    """One item of a file."""

    id: int
    time: float | None = Field(description="Seconds into its video, of a frame.")


class ItemAnswer(HitModel):
    """One item of a library, with its file."""

    frames: list[FrameModel] = Field(description="All items of its file, as frames of a video.")
    bytes: int
    reachable: bool = Field(description="Whether its file is there now.")


class IndexingModel(Model):
    """How far an index run is that writes to a library now, in whichever process."""

    pid: int
    since: datetime
    met: int = Field(description="Files that it has met.")
    files: int = Field(description="How many of these are done.")
    photos: int = Field(description="Photos that are new.")
    texts: int
    skipped: int = Field(description="Files that could not be read.")
    rate: float = Field(description="New photos a second.")


class LibraryModel(Model):
    """One library of the server."""

    name: str
    state: LibraryState
    message: str = Field(description="What is wrong, and what to do about it.")
    photos: int
    videos: int
    texts: int
    model: str
    generation: int = Field(description="It changes with every commit.")
    indexing: IndexingModel | None = Field(description="Null where no index run writes to it.")


class LibrariesAnswer(Model):
    """The libraries of the server, the default one first."""

    libraries: list[LibraryModel]


EmbeddedText = Annotated[str, Field(min_length=1)]
"""A text, or a picture as a data URI."""


class EmbeddingsBody(BaseModel):
    """What to embed, in the form of OpenAI's API; other fields of that are passed over."""

    input: EmbeddedText | Annotated[list[EmbeddedText], Field(min_length=1, max_length=256)] = (
        Field(description="Texts, and pictures as data:image/…;base64,…")
    )
    model: str | None = Field(default=None, description="The model of the library, if any.")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(default=None, description="Those of the model, if any.")


class EmbeddingModel(Model):
    """One vector of unit length: numbers, or float32 as base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class UsageModel(Model):
    """How much was embedded, in words; a picture counts as one."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(Model):
    """The vectors, in the order of the input."""

    object: Literal["list"] = "list"
    data: list[EmbeddingModel]
    model: str
    usage: UsageModel


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

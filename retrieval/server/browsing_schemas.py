"""Requests and answers of what stands around a search; see `retrieval.server.schemas`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from indexer.catalog.facets import FacetGroup
from retrieval.search.downloads import DownloadFormat
from retrieval.search.facets import MOST_VALUES
from retrieval.search.matching_ids import MOST_IDS
from retrieval.search.suggestions import SuggestionKind
from retrieval.server.schemas import LONGEST, HitModel, Model, Target

MOST_EXPORTED = 100_000
"""Ids of one export; a query may export more."""

ItemIds = Annotated[list[Annotated[int, Field(ge=0, le=2**53)]], Field(max_length=MOST_EXPORTED)]


class Parameters(Model):
    """Parameters of an address; what is unknown is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    q: str = Field(default="", max_length=LONGEST, description="A query, as the search takes it.")
    target: Target = Field(default=Target.PHOTOS, alias="for", description="What to find.")


class FacetParameters(Parameters):
    """Which values are counted."""

    groups: list[FacetGroup] = Field(
        default=list(FacetGroup), alias="group", description="Only these groups."
    )
    limit: int = Field(
        default=MOST_VALUES, ge=1, le=1000, description="Values of a group, or below a value."
    )


class FacetModel(Model):
    """A value that photos have."""

    value: str
    label: str
    filter: str = Field(description="It selects the value, as it is written in a query.")
    count: int = Field(
        description="What a search finds with this filter and those of all other groups."
    )
    selected: bool
    children: list[FacetModel] = Field(description="Months of a year, towns of a country …")


class FacetsAnswer(Model):
    """The values of the photos that pass the filters of a query, by group."""

    total: int = Field(description="Photos that pass all filters; words do not count.")
    facets: dict[FacetGroup, list[FacetModel]]
    more: dict[FacetGroup, int] = Field(description="How many values a group has beyond these.")


class SuggestParameters(Parameters):
    """What is being typed, and where."""

    at: int | None = Field(
        default=None, ge=0, le=LONGEST, description="The caret, in characters; the end without."
    )
    limit: int = Field(default=10, ge=1, le=50)


class SuggestionModel(Model):
    """A completion of a query."""

    kind: SuggestionKind
    label: str
    insert: str = Field(description="What is written in place of a part of the query.")
    start: int = Field(serialization_alias="from", description="Where that part begins.")
    end: int = Field(serialization_alias="to", description="Where it ends, in characters.")
    count: int | None = Field(description="How many photos have it.")


class SuggestAnswer(Model):
    """Completions, the most likely first."""

    suggestions: list[SuggestionModel]


class MatchParameters(Parameters):
    """What is meant by all that matches: of words, what hardly matches is left out."""

    instruct: str = Field(default="", max_length=LONGEST)
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="The least probability of a match."
    )
    rerank: bool | None = None
    frames: bool = Field(default=False, description="Every frame of a video that matches.")


class CountAnswer(Model):
    """How many items match."""

    count: int
    exact: bool = Field(description="Otherwise there are at least so many.")


class IdParameters(MatchParameters):
    """Which page of the ids."""

    limit: int = Field(default=1_000, ge=1, le=MOST_IDS)
    cursor: str | None = Field(
        default=None, max_length=400, description="`next` of the page before."
    )


class IdsAnswer(Model):
    """One page of the ids of all that matches."""

    ids: list[int]
    total: int
    complete: bool = Field(description="Whether `total` counts all there are.")
    next: str | None


class ExportBody(MatchParameters):
    """What is exported: items by their ids, or else all that matches a query."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ids: ItemIds | None = None
    form: DownloadFormat = Field(default=DownloadFormat.LIST, alias="as")


class InfoAnswer(Model):
    """What a library holds."""

    name: str
    folder: str
    photos: int
    videos: int
    frames: int
    texts: int
    skipped: int = Field(description="Files that could not be read, whole or in part.")
    folders: list[str] = Field(description="Folders that were indexed.")
    model: str
    fingerprint: str
    dim: int
    format: int
    bytes: int
    first: datetime | None = Field(description="Date of the oldest photo.")
    last: datetime | None
    dated: int
    placed: int


class DuplicateParameters(Model):
    """How alike near copies are."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    alike: float = Field(
        default=0.9, ge=0, le=1, description="Correlation from which pictures may be copies."
    )


class DuplicateModel(HitModel):
    """One of several copies."""

    keep: bool = Field(description="Whether deleting it would lose something.")
    why: str = Field(description="Why it is kept.")
    bytes: int
    links: list[str] = Field(description="Other names of the same file, which go with it.")


class DuplicateGroupModel(Model):
    """Copies of one picture, the one to keep first."""

    kind: Literal["exact", "near"]
    alike: float
    items: list[DuplicateModel]


class DuplicatesAnswer(Model):
    """Copies; `groups` is null as long as photos are being compared."""

    groups: list[DuplicateGroupModel] | None
    done: int
    total: int = Field(description="Photos to look at; 0 until that is known.")
    more: int = Field(default=0, description="Groups that are not among these.")


class NameModel(Model):
    """A learned name."""

    name: str
    like: str = Field(description="The plain words from which it was learned.")
    photos: int
    model: str
    usable: bool = Field(description="False where it was learned for another model.")


class NamesAnswer(Model):
    """The learned names."""

    names: list[NameModel]


class LearnBody(Model):
    """A name to learn."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    items: Annotated[
        list[Annotated[int, Field(ge=0, le=2**53)]], Field(min_length=1, max_length=100)
    ]
    like: str = Field(default="", max_length=200, description="A plain word for it: dog")


class LearnedAnswer(NameModel):
    """What was learned."""

    replaced: bool
    seconds: float
    skipped: list[str] = Field(description="Photos that could not be read, and why.")

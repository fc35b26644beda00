"""What a search is asked: the query, what to find, how to score it, and which hits to return.

It takes in nothing heavy, so that the command line can build its options on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from indexer.core.types import Kind, readable
from retrieval._enums import ENSEMBLE, SortOrder
from retrieval.errors import QueryInvalid
from retrieval.search.results import FAINT

if TYPE_CHECKING:
    from retrieval.search.query import Query
    from retrieval.search.results import Hit


@dataclass(frozen=True, kw_only=True)
class Page:
    """Which hits are shown: `top` of them, 0 for all, after the first `offset`, in an order.

    Raises:
        QueryInvalid: top or offset is below 0.
    """

    top: int = 10
    offset: int = 0
    sort: SortOrder = SortOrder.SCORE

    def __post_init__(self) -> None:
        if min(self.top, self.offset) < 0:
            wrong = f"{self.top} and {self.offset}"
            raise QueryInvalid(f"top and offset must be at least 0, not {wrong}")

    @property
    def reach(self) -> int:
        """How many of the best hits the page needs; 0 for all."""
        return self.offset + self.top if self.top else 0

    def of(self, hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits of this page with their ranks among all, best or newest first."""
        ranked = [replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1)]
        page = ranked[self.offset : self.reach or None]
        return page if self.sort == SortOrder.SCORE else by_date(page, self.sort, self.offset)


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How the first stage scores.

    Attributes:
        hubness: hold back what is near to every query, across kinds; else a score is the cosine.
        ensemble: search for photos of a bare name by several sentences about it.
        words: also match words in captions, keywords, file names, folders and places.
        language: of the words, as "de" or "deu_Latn", for models that must be told; empty to guess.
    """

    hubness: bool = True
    ensemble: bool = ENSEMBLE
    words: bool = True
    language: str = ""


@dataclass(frozen=True, kw_only=True)
class RerankChoice:
    """Whether the first hits are reranked, by which reranker, and under which instruction.

    Attributes:
        wanted: None where nothing was said: the reranker that ships takes part where it gains.
        spec: of the reranker; None for the one that ships.
        instruct: what the hits shall be like, in words; kept in one line.
    """

    wanted: bool | None = None
    spec: str | None = None
    instruct: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "instruct", " ".join(readable(self.instruct).split()))

    @property
    def requested(self) -> bool:
        """Tell whether a reranker was asked for."""
        return self.wanted is True or (self.spec is not None and self.wanted is None)

    def takes_part(self, usual: float) -> bool:
        """Tell whether hits are reranked; `usual` is the weight where nothing is said."""
        if self.spec or self.instruct or self.wanted is not None:
            return self.wanted is not False or bool(self.instruct)
        return usual > 0


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """One search of a library.

    Attributes:
        query: what is looked for, and among what; see `retrieval.search.query`.
        kind: what to find: photos or texts.
        page: which hits are returned.
        threshold: the least probability of a match, from 0 to 1; 0 returns every hit. None returns
            as many as are asked for, if anything matches.
        frames: return each frame of a video that matches, not the best one alone.
        without_faint: leave out the hits that hardly match, as where all hits are asked for.
        scoring: how the first stage scores.
        reranking: whether a reranker rescores the first hits.
    """

    query: Query
    kind: Kind = Kind.PHOTO
    page: Page = field(default_factory=Page)
    threshold: float | None = None
    frames: bool = False
    without_faint: bool = False
    scoring: Scoring = Scoring()
    reranking: RerankChoice = RerankChoice()

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise QueryInvalid(f"a threshold is a probability from 0 to 1, not {self.threshold}")

    @property
    def least(self) -> float:
        """The least probability of a match of the hits that are returned, if anything matches."""
        if self.threshold is not None:
            return self.threshold
        return FAINT if self.without_faint or not self.page.top else 0.0

    @property
    def by_date(self) -> bool:
        """Tell whether hits are ordered by date, so that dates are worth showing."""
        return self.query.is_filter or self.page.sort != SortOrder.SCORE


def by_date(hits: Sequence[Hit], sort: SortOrder, offset: int = 0) -> list[Hit]:
    """Order hits by date, those without one last, and count their ranks anew."""
    newest = sort != SortOrder.OLDEST
    undated = datetime.min if newest else datetime.max
    ordered = sorted(hits, key=lambda hit: hit.about.taken or undated, reverse=newest)
    return [replace(hit, rank=rank) for rank, hit in enumerate(ordered, start=offset + 1)]

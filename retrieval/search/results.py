"""What a search returns: its hits, whether anything matches, and what a person should know.

A hit is made of a candidate and its record (`hits_of`), reduced to the best frame of a video
(`one_a_video`), given its match probability (`with_match`), and cut to a page (`calibrated`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, overload

from indexer.core.text_normalization import tokens
from indexer.core.types import Candidate, Kind, Metadata, Record, TextLine, spot
from indexer.library.thumbnail_cache import thumbnail_version
from retrieval._enums import HIT_FIELDS

if TYPE_CHECKING:
    from retrieval.search.match_probability import MatchCalibrator
    from retrieval.search.search_request import SearchRequest

UNLIKELY = 0.2
"""Hits below this probability are shown as unlikely: fewer than one in five of them is right."""

FAINT = 0.04
"""Where all hits are asked for, those below this probability are left out; where the best hit is
below it, nothing matches."""


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One hit.

    Attributes:
        rank: counted from 1.
        score: what hits are ordered by; higher is better. It is the cosine, minus what the item's
            hubness costs, plus the BM25 score of shared words, moved by the reranker where one
            takes part; `Searcher.search` has the switches.
        kind: a photo or a text.
        path: of the file.
        text: the passage that was found; empty for a photo.
        id: of the item in the library.
        about: the metadata of a photo.
        time: of a frame in its video, in seconds; None for what is no frame.
        match: probability, from 0 to 1, that the hit shows what is asked for and follows the
            instruction; None where the library cannot tell, see `ScoreNormalizer.moments`.
        plain: the score without the instruction.
        obeys: probability that it follows the instruction; None if there is none, or if it was not
            reranked.
        all_words: whether the file's name, caption or keywords, or the text that the photo shows,
            have all words of the query, and these are rare.
        lines: of the text that the photo shows, those with a word of the query.
        digest: a hash of the content of the file.
    """

    rank: int
    score: float
    kind: Kind
    path: Path
    text: str
    id: int
    about: Metadata = field(default_factory=Metadata)
    time: float | None = None
    match: float | None = None
    plain: float = 0.0
    obeys: float | None = None
    all_words: bool = False
    lines: tuple[TextLine, ...] = ()
    digest: bytes = field(default=b"", compare=False, repr=False)

    @property
    def likely(self) -> bool:
        """Tell whether it is not marked as unlikely to be a match."""
        return self.match is None or self.match >= UNLIKELY

    @property
    def metadata(self) -> Metadata:
        """The metadata of a photo: `about`."""
        return self.about

    @property
    def version(self) -> str:
        """The version of its thumbnails, for `PhotoLibrary.thumbnail`; empty for a text."""
        return thumbnail_version(self.digest) if self.kind == Kind.PHOTO else ""

    @property
    def where(self) -> str:
        """The path, and the time in a video: "clip.mp4 @ 0:12"."""
        return spot(str(self.path), self.time)

    def as_json(self) -> dict[str, object]:
        """Return it as plain values: `HIT_FIELDS`, then the metadata that are known."""
        values = {name: getattr(self, name) for name in HIT_FIELDS}
        match = None if self.match is None else round(self.match, 4)
        values |= {"score": round(self.score, 6), "match": match, "path": str(self.path)}
        return {**values, **_metadata_values(self)}


def _metadata_values(hit: Hit) -> dict[str, object]:
    """Return the metadata of a hit as plain values; what is not known is left out."""
    about = hit.about
    told = {
        "unlikely": None if hit.likely else True,
        "date": about.taken.isoformat() if about.taken else None,
        "latitude": about.latitude,
        "longitude": about.longitude,
        "place": about.place,
        "camera": about.camera,
        "lens": about.lens,
        "rating": about.rating,
        "keywords": list(about.keywords),
        "title": about.title,
        "caption": about.caption,
        "also": [str(hit.path.with_name(name)) for name in about.also],
        "lines": [{"text": line.text, "box": list(line.box)} for line in hit.lines],
    }
    return {name: value for name, value in told.items() if value not in (None, "", [])}


def hits_of(
    candidates: Sequence[Candidate], records: Sequence[Record], named: Collection[int] = ()
) -> list[Hit]:
    """Join scores and records, best first; an item that was removed meanwhile has no record."""
    scores = {candidate.id: candidate.score for candidate in candidates}
    return [
        Hit(
            rank=rank,
            score=scores[record.id],
            plain=scores[record.id],
            kind=record.kind,
            path=record.path,
            text=record.text,
            id=record.id,
            about=record.about,
            time=record.time,
            all_words=record.id in named,
            digest=record.digest,
        )
        for rank, record in enumerate(records, start=1)
    ]


def with_lines(
    hits: Sequence[Hit], lines: Mapping[int, Sequence[TextLine]], words: Set[str]
) -> list[Hit]:
    """Give each hit the lines of its picture that have one of these words.

    Args:
        hits: in any order.
        lines: that photos show, by their ids.
        words: tokens that are looked for, misread ones among them.
    """
    named = {
        id_: tuple(line for line in theirs if not words.isdisjoint(tokens(line.text)))
        for id_, theirs in lines.items()
    }
    return [replace(hit, lines=named[hit.id]) if hit.id in named else hit for hit in hits]


def with_match(hits: Sequence[Hit], matching: MatchCalibrator) -> list[Hit]:
    """Give each hit its match probability, from its score and from how likely it obeys.

    A hit that was not reranked counts as one that obeys as often as the others do.
    """
    seen = [hit.obeys for hit in hits if hit.obeys is not None]
    usual = sum(seen) / len(seen) if seen else 1.0
    matches = matching.probabilities([hit.plain for hit in hits])
    return [
        replace(hit, match=float(match) * (usual if hit.obeys is None else hit.obeys))
        for hit, match in zip(hits, matches, strict=True)
    ]


def one_a_video(find: Callable[[int], list[Hit]], depth: int) -> list[Hit]:
    """Return the best `depth` hits of which no two are of one video, if there are so many.

    Args:
        find: returns so many of the best hits, best first; more of them begin with the same.
        depth: how many are wanted.
    """
    looked = depth
    while True:
        found = find(looked)
        kept = _first_frames(found)
        if len(kept) >= depth or len(found) < looked:
            return kept[:depth]
        looked *= 4


def _first_frames(hits: Sequence[Hit]) -> list[Hit]:
    """Drop all frames of a video but the first, and count the ranks again."""
    videos: set[Path] = set()
    kept: list[Hit] = []
    for hit in hits:
        if hit.time is None or hit.path not in videos:
            kept.append(replace(hit, rank=len(kept) + 1))
        if hit.time is not None:
            videos.add(hit.path)
    return kept


@dataclass(frozen=True, kw_only=True)
class SearchResults(Sequence[Hit]):
    """The hits of one page, and what is known of all hits. It is a sequence of its hits.

    Attributes:
        hits: of the page, in the order that was asked for.
        found: whether anything matches; else there are no hits.
        nearest: the best hit where nothing matches; None if there was none at all.
        total: how many hits there are on all pages, as far as they were looked for: at least the
            first 50. `complete` tells whether these are all.
        complete: whether `total` counts all hits there are.
        left_out: how many hits were left out as too unlikely, as far as they were looked for.
        next: the offset of the next page; None if this is the last one.
        by_date: whether the newest hit comes first.
        message: why there is no hit, or how many more were left out as too unlikely; empty if
            neither applies.
        notes: how the query was understood (which place a name means, what is taken away), and
            photos that the reranker could not read.
        doubts: which words of the query the model does not read or know, and what may be meant.
        took_ms: milliseconds by stage; see `StageTimes`.
    """

    hits: list[Hit]
    found: bool
    nearest: Hit | None = None
    total: int = 0
    complete: bool = True
    left_out: int = 0
    next: int | None = None
    by_date: bool = False
    message: str = ""
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    took_ms: Mapping[str, float] = field(default_factory=dict, compare=False)

    @property
    def hints(self) -> tuple[str, ...]:
        """All lines for the person who searches: `notes`, then `doubts`."""
        return self.notes + self.doubts

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Hit]: ...
    def __getitem__(self, place: int | slice) -> Hit | Sequence[Hit]:
        return self.hits[place]

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)


def calibrated(
    hits: Sequence[Hit], request: SearchRequest, *, found: bool, looked_for: int
) -> SearchResults:
    """Cut hits to those that match, and to a page of these.

    Args:
        hits: the best, best first.
        request: which of them are returned: the page, and how likely a match each must be.
        found: whether anything matches.
        looked_for: how many hits were looked for; 0 for all.
    """
    nearest, page = hits[0] if hits else None, request.page
    if request.threshold is None and not found:
        return SearchResults(hits=[], found=False, nearest=nearest)
    shown = [hit for hit in hits if hit.match is None or hit.match >= request.least]
    if not shown:
        return SearchResults(hits=[], found=not hits, nearest=nearest)
    complete = not looked_for or len(shown) < looked_for
    more = bool(page.top) and page.reach < len(shown) + (not complete)
    return SearchResults(
        hits=page.of(shown),
        found=True,
        total=len(shown),
        complete=complete,
        left_out=len(hits) - len(shown),
        next=page.reach if more else None,
    )


def verdict(results: SearchResults, request: SearchRequest) -> str:
    """Say why a page has no hit, or how many were left out as too unlikely; empty as a rule."""
    if results.hits:
        wanted = request.page.top or len(results) + results.left_out
        left_out = min(wanted - len(results), results.left_out)
        return f"{left_out:,} more left out as too unlikely" if left_out else ""
    if results.found and results.total:
        return f"nothing more matches beyond the first {results.total:,}"
    if results.nearest is not None:
        return f"nothing matches. The nearest is {_nearest(results.nearest)}"
    if request.query.where is not None:
        return f"nothing matches: no {request.kind} passes the filters {request.query.filters}"
    return "nothing matches"


def percent(match: float | None) -> str:
    """Format a probability for a person; empty where it is not known."""
    return "" if match is None else f"{100 * match:.0f} %"


def _nearest(hit: Hit) -> str:
    """Name a hit, with its match probability."""
    what = f'"{hit.text}" in {hit.path}' if hit.text else hit.where
    return what if hit.match is None else f"{what}, a match with {percent(hit.match)}"


class StageTimes:
    """Adds up the milliseconds of the stages of one search, by their names.

    The stages are "models" (choosing and loading them), "encode" (the query), "candidates" (vectors
    and words), "calibrate" (what makes scores probabilities) and "rerank".
    """

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Count the time until the end of the block to a stage."""
        began = perf_counter()
        try:
            yield
        finally:
            spent = 1e3 * (perf_counter() - began)
            self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + spent

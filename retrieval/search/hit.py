"""One hit of a search."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from indexer.core.types import Candidate, Kind, Metadata, Record, spot
from retrieval.search.match_probability import UNLIKELY, MatchCalibrator


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One hit. `rank` counts from 1; `score` orders the hits, higher is better.

    The score is the cosine, lowered by the item's hubness, raised if it shares words with the
    query, and changed by the reranker if one takes part; see `Searcher.search`. `text` is the
    passage that was found, empty for a photo. `time` is the position of a frame in its video in
    seconds, None for other items. `id` is its id in the library. `about` is its metadata. `match`
    is the probability, from 0 to 1, that it shows what is asked for and follows the instruction;
    None if the library cannot estimate it, see `Library.moments`. `plain` is the score without the
    instruction. `obeys` is the probability that it follows the instruction, None if there is none
    or the hit was not reranked. `worded` is True if it has all the words of the query, and they
    are rare.
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
    worded: bool = False

    @property
    def likely(self) -> bool:
        """Return whether it is not marked as unlikely to be a match."""
        return self.match is None or self.match >= UNLIKELY

    @property
    def where(self) -> str:
        """The path, and the time in a video: "clip.mp4 @ 0:12"."""
        return spot(str(self.path), self.time)


def hits_of(
    candidates: Sequence[Candidate], records: Sequence[Record], worded: Collection[int] = ()
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
            worded=record.id in worded,
        )
        for rank, record in enumerate(records, start=1)
    ]


def with_match(hits: Sequence[Hit], matching: MatchCalibrator) -> list[Hit]:
    """Set the match probability of each hit: of its score, times that of following the instruction.

    A hit that was not reranked gets the mean of the others for the second factor.
    """
    seen = [hit.obeys for hit in hits if hit.obeys is not None]
    usual = sum(seen) / len(seen) if seen else 1.0
    matches = matching.probabilities([hit.plain for hit in hits])
    return [
        replace(hit, match=float(match) * (usual if hit.obeys is None else hit.obeys))
        for hit, match in zip(hits, matches, strict=True)
    ]


def newest_first(hits: Sequence[Hit], offset: int) -> list[Hit]:
    """Sort hits by date, those without one last, and number their ranks again."""
    ordered = sorted(hits, key=lambda hit: hit.about.taken or datetime.min, reverse=True)
    return [replace(hit, rank=rank) for rank, hit in enumerate(ordered, start=offset + 1)]

"""One answer of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from indexer.types import Candidate, Kind, Metadata, Record, spot
from retrieval.search.matching import Matching


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One answer. `rank` counts from 1; `score` orders the answers, higher is better.

    It is the cosine, less what the item's hubness costs, more where it shares words with the
    query, and moved by the reranker where one takes part; `Searcher.search` says where. `text` is
    the passage that was found, empty for a photo; `time` how many seconds into its video a frame is
    shown, None for what is no frame. `id` names it in the library; `about` is what a photo says
    about itself. `match` is how likely it is a match by the first stage, from 0 to 1;
    None where the library cannot tell, see `Library.moments`. `worded` tells whether it shares
    telling words with the query.
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
    worded: bool = False

    @property
    def where(self) -> str:
        """The path, and the time in a video: "clip.mp4 @ 0:12"."""
        return spot(str(self.path), self.time)


def hits_of(
    candidates: Sequence[Candidate], records: Sequence[Record], matching: Matching | None
) -> list[Hit]:
    """Join scores and records, best first; an item that left meanwhile has no record."""
    scores = {candidate.id: candidate.score for candidate in candidates}
    return [
        Hit(
            rank=rank,
            score=scores[record.id],
            kind=record.kind,
            path=record.path,
            text=record.text,
            id=record.id,
            about=record.about,
            time=record.time,
            match=matching.probability(scores[record.id]) if matching else None,
        )
        for rank, record in enumerate(records, start=1)
    ]


def newest_first(hits: Sequence[Hit], offset: int) -> list[Hit]:
    """Order hits by date, those without one last, and count their ranks anew."""
    ordered = sorted(hits, key=lambda hit: hit.about.taken or datetime.min, reverse=True)
    return [replace(hit, rank=rank) for rank, hit in enumerate(ordered, start=offset + 1)]

"""One answer of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.types import Candidate, Kind, Record


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One answer. `rank` counts from 1; `score` orders the answers, higher is better.

    It is the cosine, less what the item's hubness costs, and moved by the reranker where one
    takes part; `Searcher.search` says where.
    `text` is the passage that was found, empty for a photo; `id` names it in the library.
    """

    rank: int
    score: float
    kind: Kind
    path: Path
    text: str
    id: int


def hits_of(candidates: Sequence[Candidate], records: Sequence[Record]) -> list[Hit]:
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
        )
        for rank, record in enumerate(records, start=1)
    ]

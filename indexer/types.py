"""The plain records that travel between the rooms of the indexer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """What an item of the library is."""

    PHOTO = "photo"
    TEXT = "text"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One item of the library: a photo, or one passage of a text file.

    `id` is issued by the catalog, never reused. `text` is the passage (empty for a photo).
    """

    id: int
    kind: Kind
    path: Path
    text: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One answer of the vector search: an item's id and its inner product with the query."""

    id: int
    score: float


@dataclass(frozen=True, kw_only=True)
class Skip:
    """A file (or one row of it) that could not be indexed, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, kw_only=True)
class SegmentRow:
    """A segment that the catalog names: `rows` vectors of a kind in the file of that number."""

    number: int
    kind: Kind
    rows: int

"""The catalog's records about the whole library, and about the vectors of one kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.core.errors import LibraryDamaged, LibraryTooNew, way_out
from indexer.core.types import Kind, SegmentRow

FORMAT = 6
"""The format written, and the newest that is read. Formats before 3 know no metadata and no
words, format 3 no videos; those before 5 know no inodes and no checksums of rows and of exact
indexes, and hold words of scripts without spaces whole; those before 6 know no text in photos. In a
library that format 1 began, no vector carries a hubness."""

REWRITTEN = "rewritten"
"""The fact that says in which commit rows were last changed or removed, and not only added."""

NO_HUBNESS = {"hubness_k": "0", "photo_bank": "0", "text_bank": "0"}
"""The facts that format 1 did not write: its vectors carry no hubness, now and for ever."""

_NUMBERS = ("format", "dim", "generation", "next_id", "next_segment")
_HUBNESS_NUMBERS = ("hubness_k", "photo_bank", "text_bank")

_DIGITS = 19  # of the largest number of 64 bits

Ids: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LibraryMeta:
    """The metadata of a library: what it was made for, and the state of its counters.

    Attributes:
        format: of the files on disk.
        model: the name of the encoder.
        fingerprint: of the encoder.
        dim: length of every vector.
        hubness_k: number of reference vectors whose mean cosine is an item's hubness; 0 if vectors
            have none, in a library that format 1 began.
        photo_bank: vectors of generic photos in the reference set.
        text_bank: vectors of generic texts in the reference set.
        generation: counts commits; equal generations are the same commit.
        next_id: the id that the next item gets.
        next_segment: the number that the next segment gets.
        writer: who writes or wrote last: "PID SECONDS", seconds since 1970.
        banks: name of the file with the reference set.
    """

    format: int = FORMAT
    model: str
    fingerprint: str
    dim: int
    hubness_k: int = 0
    photo_bank: int = 0
    text_bank: int = 0
    generation: int = 0
    next_id: int = 1
    next_segment: int = 1
    writer: str = ""
    banks: str = "banks.safetensors"

    @property
    def width(self) -> int:
        """Length of a stored row: the vector and, if it is stored, its hubness."""
        return self.dim + (self.hubness_k > 0)


@dataclass(frozen=True, kw_only=True)
class VectorSnapshot:
    """The vectors of one kind as of one commit.

    Attributes:
        generation: counts commits; equal generations are the same commit.
        segments: by number.
        base: the number up to which the saved FAISS index holds the segments; 0 for none.
        plan: how that index is searched; empty for an exact one.
        seal: what its file was when it was written; see `indexer.vectors.index_seal`.
        deleted: ids that segments still hold and no item has. Shape (n,).
    """

    generation: int
    segments: tuple[SegmentRow, ...]
    base: int
    plan: str
    seal: str
    deleted: Ids


@dataclass(frozen=True, kw_only=True)
class SavedIndexMeta:
    """What the catalog names of a saved index: its number, search parameters and checksums."""

    number: int
    plan: str
    seal: str


def facts_of(path: Path, meta: dict[str, str]) -> LibraryMeta:
    """Turn the rows of the table into metadata; refuse a newer format first."""
    meta = meta if meta.get("format") != "1" else {**NO_HUBNESS, **meta}
    numbers = [*_NUMBERS, *_HUBNESS_NUMBERS]
    wrong = [key for key in numbers if not _is_number(meta.get(key, ""))]
    wrong += [key for key in ("model", "fingerprint") if key not in meta]
    if "format" not in wrong and int(meta["format"]) > FORMAT:
        raise LibraryTooNew(
            path,
            f"has format {meta['format']}, this twinlens reads up to {FORMAT}",
            "upgrade with: pip install --upgrade twinlens",
        )
    if wrong:
        raise LibraryDamaged(path, f"lacks {', '.join(wrong)}", way_out(path.parent))
    return LibraryMeta(
        **{key: int(meta[key]) for key in numbers},
        model=meta["model"],
        fingerprint=meta["fingerprint"],
        writer=meta.get("writer", ""),
        banks=meta.get("banks", LibraryMeta.banks),
    )


def _is_number(text: str) -> bool:
    """Return whether a fact is a number that SQLite and FAISS can hold."""
    return text.isascii() and text.isdecimal() and len(text) < _DIGITS


def base_key(kind: Kind) -> str:
    """Name the fact that says how far the saved index of a kind goes."""
    return f"base_{kind}"


def seal_key(kind: Kind) -> str:
    """Name the fact that says what the file of the saved index of a kind was."""
    return f"seal_{kind}"


def plan_key(kind: Kind) -> str:
    """Name the fact that says how the saved index of a kind is searched."""
    return f"plan_{kind}"

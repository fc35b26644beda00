"""The content of one commit of an index run: files that were read and embedded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path

from indexer.catalog.changes import FileState, FolderState, Move, NewFile, Touch
from indexer.core.encoder import Tokens, Vectors
from indexer.core.types import Metadata


@dataclass(frozen=True, kw_only=True)
class BatchEntry:
    """A file to add, embedded.

    Attributes:
        state: the file as it was read.
        texts: one an item: the passages of a text, "" for a photo, nothing for a broken file.
        vectors: one an item. Shape (texts, dim).
        tokens: of a photo, for a reranker. Shape (texts, tokens, width).
        times: of the frames of a video, in seconds; empty for all else.
        about: what a photo says about itself; None for a text or a broken file.
    """

    state: FileState
    texts: tuple[str, ...]
    vectors: Vectors
    tokens: Tokens | None = None
    times: tuple[float, ...] = ()
    about: Metadata | None = None


@dataclass(frozen=True, kw_only=True)
class IndexBatch:
    """What one commit changes. `removed` are file ids, `roots` the folders that were indexed.

    `missing` are the ids of files that were not found and are kept, `folders` those that were
    entered, as they are now; None for one that has gone.
    """

    entries: Sequence[BatchEntry] = ()
    moves: Sequence[Move] = ()
    removed: Sequence[int] = ()
    roots: Sequence[Path] = ()
    touches: Sequence[Touch] = ()
    missing: Sequence[int] = ()
    folders: Mapping[Path, FolderState | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether it changes anything."""
        return any(vars(self).values())


def numbered(entries: Sequence[BatchEntry], first: int) -> list[NewFile]:
    """Issue ids from `first` on, one a text."""
    edges = accumulate((len(entry.texts) for entry in entries), initial=first)
    return [
        NewFile(
            state=entry.state,
            texts=entry.texts,
            ids=range(start, stop),
            times=entry.times,
            about=entry.about,
        )
        for entry, (start, stop) in zip(entries, pairwise(edges), strict=True)
    ]

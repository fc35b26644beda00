"""The vectors of one kind as of one commit: a saved base index and a delta index of newer ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from indexer.core.encoder import Vectors
from indexer.core.types import Candidate
from indexer.vectors.flat_index import Ids, MutableFlatIndex


class SavedIndex(Protocol):
    """What a saved index of any type answers; see `MutableFlatIndex`."""

    def __len__(self) -> int:
        """Count its vectors."""
        ...

    @property
    def ids(self) -> Ids:
        """The ids of all vectors. Shape (n,)."""
        ...

    def fetch(self, ids: Ids) -> Vectors:
        """Return stored vectors. Shape (ids, width)."""
        ...

    def search(
        self, queries: Vectors, k: int, *, excluded: Ids | None = None, only: Ids | None = None
    ) -> list[list[Candidate]]:
        """Return for each query its `k` best vectors."""
        ...


@dataclass(frozen=True, kw_only=True)
class CompositeIndex:
    """The vectors of one kind.

    Attributes:
        generation: of the commit.
        numbers: of the segments whose vectors are here.
        base: the saved index, named by its number and search parameters.
        number: of the last segment that the saved index holds.
        plan: how it is searched, as the catalog noted it.
        tail: the vectors of newer segments, searched one by one.
        deleted: ids that are no longer answered.
    """

    generation: int
    numbers: frozenset[int]
    base: SavedIndex
    number: int
    plan: str
    tail: MutableFlatIndex
    deleted: Ids

    def search(
        self, queries: Vectors, k: int, *, excluded: Ids | None = None, only: Ids | None = None
    ) -> list[list[Candidate]]:
        """Return for each query its `k` best vectors, best first; of equal scores the lower id.

        Args:
            queries: as they ask. Shape (queries, width).
            k: how many candidates a query gets.
            excluded: ids that are never answered, beside those that were deleted. Shape (n,).
            only: the ids that may be answered, if not all. Shape (n,).
        """
        gone = self.deleted if excluded is None else np.concatenate([self.deleted, excluded])
        older = self.base.search(queries, k, excluded=gone, only=only)
        if not len(self.tail):
            return older
        newer = self.tail.search(queries, k, excluded=gone, only=only)
        return [
            sorted([*one, *other], key=lambda each: (-each.score, each.id))[:k]
            for one, other in zip(older, newer, strict=True)
        ]

    def fetch(self, ids: Ids) -> Vectors:
        """Return stored vectors. Shape (ids, width).

        Raises:
            KeyError: an id is not there.
        """
        newer = np.isin(ids, self.tail.ids)
        rows = np.empty((len(ids), self.tail.dim), dtype=np.float32)
        rows[newer] = self.tail.fetch(ids[newer])
        rows[~newer] = self.base.fetch(ids[~newer])
        return rows

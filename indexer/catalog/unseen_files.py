"""The files that a library holds below some folders and that a walk has not met yet.

The walk strikes off each file that it meets unchanged. A file and its state (path, size, dates,
inode) are stored as one hash of 64 bits, so a file takes 25 bytes, whatever its path. If all of a
million files changed in a library of a million, one in ten million such runs would take one of
them for unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.core.types import State


class UnseenFiles:
    """Files by id and state. `left` is what no walk has met.

    Args:
        known: the id of each file and its state, by ascending id.
    """

    def __init__(self, known: Iterable[tuple[int, State]]) -> None:
        pairs = ((id_, hash(state)) for id_, state in known)
        rows = np.fromiter(pairs, dtype=np.dtype((np.int64, 2)))  # (files, 2)
        self._ids = np.ascontiguousarray(rows[:, 0])
        self._order = np.argsort(rows[:, 1])
        self._hashes = rows[self._order, 1]
        self._left = np.ones(len(rows), dtype=np.bool_)

    def meet(self, states: Sequence[State]) -> NDArray[np.bool_]:
        """Strike off the files of these states; tell which of them are known. Shape (states,)."""
        hashes = np.array([hash(state) for state in states], dtype=np.int64)
        at = np.searchsorted(self._hashes, hashes)
        known = np.zeros(len(states), dtype=np.bool_)
        inside = at < len(self._hashes)
        known[inside] = self._hashes[at[inside]] == hashes[inside]
        self._left[self._order[at[known]]] = False
        return known

    def strike(self, ids: Iterable[int]) -> None:
        """Strike off files by id, if they are here."""
        for id_ in ids:
            row = self._row(id_)
            if row is not None:
                self._left[row] = False

    def knows(self, id_: int) -> bool:
        """Return whether a file is here, struck off or not."""
        return self._row(id_) is not None

    def __contains__(self, id_: int) -> bool:
        """Return whether a file is left."""
        row = self._row(id_)
        return row is not None and bool(self._left[row])

    def __iter__(self) -> Iterator[int]:
        """Yield the ids of what is left."""
        return iter(self._ids[self._left].tolist())

    def _row(self, id_: int) -> int | None:
        """Find a file."""
        row = int(np.searchsorted(self._ids, id_))
        return row if row < len(self._ids) and self._ids[row] == id_ else None

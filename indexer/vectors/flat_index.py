"""An exact FAISS index: vectors by id, searched by inner product."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.core.encoder import Vectors
from indexer.core.errors import LibraryDamaged, TwinlensError, mending
from indexer.core.types import Candidate

Ids: TypeAlias = NDArray[np.int64]
"""Ids that the catalog issued. Shape (n,)."""

_LANES = 16
"""FAISS reads float16 codes 16 at a time only where the length is a multiple of 16: at 257
dimensions a search takes 13 times as long as at 256 or 272. Zeros fill the rest."""

_ADD_ROWS = 65_536  # vectors widened to float32 at a time: 128 MB at 512 dimensions


class VectorBlock(Protocol):
    """Vectors under their ids, such as a segment. Shapes (n,) and (n, dim)."""

    @property
    def ids(self) -> Ids:
        """The ids."""
        ...

    @property
    def vectors(self) -> NDArray[np.float16]:
        """The vectors."""
        ...


class FlatIndex:
    """An exact index over half-precision vectors. It may lie on the disk, and does not grow.

    Segments hold float16, so float16 codes lose nothing more and halve the memory. FAISS calls
    this a scalar quantizer; no approximation is in it. Scores are inner products: higher is
    better, and for unit vectors they are cosines.
    """

    def __init__(self, dim: int, index: Any) -> None:
        self.dim = dim
        self._index = index

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def ids(self) -> Ids:
        """The ids of all vectors, in the order in which they were added. Shape (n,)."""
        ids: Ids = faiss.vector_to_array(self._index.id_map)
        return ids

    def fetch(self, ids: Ids) -> Vectors:
        """Return stored vectors. Shape (ids, dim).

        Raises:
            KeyError: an id is not in the index.
        """
        try:
            vectors: Vectors = self._index.reconstruct_batch(np.ascontiguousarray(ids, np.int64))
        except RuntimeError as error:
            raise KeyError(f"an id of {ids.tolist()} is not in the index") from error
        return np.ascontiguousarray(vectors[:, : self.dim])

    def is_made_of(self, parts: Iterable[VectorBlock]) -> bool:
        """Return whether the index is what adding these parts in their order would give."""
        held, start = self.ids, 0
        for part in parts:
            rows = slice(start, start := start + len(part.ids))
            if not np.array_equal(held[rows], part.ids):
                return False
            if not np.array_equal(self._index.reconstruct_batch(part.ids), filled(part.vectors)):
                return False
        return start == len(self)

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        excluded: Ids | None = None,
        only: Ids | None = None,
    ) -> list[list[Candidate]]:
        """Return for each query its `k` best vectors, or all there are if fewer.

        Best first; of equal scores, the lower id first.

        Args:
            queries: shape (queries, dim).
            k: how many candidates a query gets.
            excluded: ids that are never answered. Shape (n,).
            only: the ids that may be answered, if not all. Shape (n,).
        """
        chosen = selector(excluded, only)
        parameters: Any = faiss.SearchParameters
        params = None if chosen is None else parameters(sel=chosen)
        return best(self._index, queries, k, params)

    @staticmethod
    def load(path: Path, *, dim: int, size: int) -> FlatIndex:
        """Open an index that `MutableFlatIndex.save` wrote. It stays on the disk.

        Raises:
            LibraryDamaged: no such file, or it is not an index of `size` vectors of `dim`.
        """
        index = opened(path, faiss.IndexIDMap2, "with ids", dim=dim, size=size)
        return FlatIndex(dim, index)


class MutableFlatIndex(FlatIndex):
    """An exact index in memory, that grows."""

    def __init__(self, dim: int) -> None:
        quantizer = faiss.ScalarQuantizer.QT_fp16
        flat = faiss.IndexScalarQuantizer(padded(dim), quantizer, faiss.METRIC_INNER_PRODUCT)
        super().__init__(dim, faiss.IndexIDMap2(flat))

    def add(self, ids: Ids, vectors: NDArray[np.float16]) -> None:
        """Add vectors under their ids. Shapes (n,) and (n, dim)."""
        for start in range(0, len(ids), _ADD_ROWS):
            rows = slice(start, start + _ADD_ROWS)
            self._index.add_with_ids(filled(vectors[rows]), ids[rows])

    def save(self, path: Path) -> None:
        """Write the index to a file.

        Raises:
            TwinlensError: the disk is full or closed to us.
        """
        write(self._index, path)


def vector_bytes(size: int, rows: int, dim: int, *, in_lists: bool) -> range:
    """Return at which bytes of a file FAISS lays its vectors, or its lists of vectors and ids.

    Lists end the file. Behind the vectors of an exact index come its ids, and how many they are.

    Args:
        size: of the file, in bytes.
        rows: how many vectors there are.
        dim: their length, before it is padded.
        in_lists: whether the index is one of lists.
    """
    ids, codes = 8 * rows, 2 * padded(dim) * rows
    if in_lists:
        return range(max(0, size - codes - ids), size)
    stop = max(0, size - 8 - ids)
    return range(max(0, stop - codes), stop)


def write(index: Any, path: Path) -> None:
    """Write a FAISS index to a file.

    Raises:
        TwinlensError: the disk is full or closed to us.
    """
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise TwinlensError(f"cannot write {path}: {error}") from error


def opened(path: Path, type_: Any, what: str, *, dim: int, size: int) -> Any:
    """Open a FAISS index that stays on the disk: a search reads the pages that it needs.

    Args:
        path: of the file.
        type_: FAISS's class of the index.
        what: how a person tells that class from others.
        dim: length of the vectors, before it is padded.
        size: how many there are.

    Raises:
        LibraryDamaged: no such file, or it is not such an index.
    """
    try:
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except (RuntimeError, MemoryError, ValueError) as error:
        raise _damage(path, "is not a FAISS index") from error
    if not isinstance(index, type_):
        raise _damage(path, f"is not a FAISS index {what}")
    if index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise _damage(path, "does not rank by inner product")
    if (index.d, index.ntotal) != (padded(dim), size):
        raise _damage(path, f"does not hold {size} vectors of {dim}")
    return index


def _damage(path: Path, fault: str) -> LibraryDamaged:
    """Name the file and the way out."""
    return LibraryDamaged(path, fault, mending(path.parent.parent))


def best(index: Any, queries: Vectors, k: int, params: Any) -> list[list[Candidate]]:
    """Return for each query the `k` best vectors of a FAISS index; of equal scores the lower id.

    Args:
        index: whose dimension is a padded one.
        queries: shape (queries, dim).
        k: how many candidates a query gets.
        params: FAISS's parameters of the search, None for its own.
    """
    asked, size = filled(queries), int(index.ntotal)
    fetch = min(k + 1, size)
    if not len(asked) or k < 1 or not fetch:
        return [[] for _ in asked]
    scores, ids = index.search(asked, fetch, params=params)
    while fetch < size and _tie_at(scores, ids, k).any():
        fetch = min(2 * fetch, size)  # FAISS keeps any of the tied ones; see them all
        scores, ids = index.search(asked, fetch, params=params)
    return [_ranked(*row)[:k] for row in zip(scores, ids, strict=True)]


def padded(dim: int) -> int:
    """Round a length up to whole lanes."""
    return -(-dim // _LANES) * _LANES


def filled(vectors: NDArray[np.floating]) -> Vectors:
    """Widen vectors to float32 and fill them with zeros. Shape (n, dim) → (n, padded dim)."""
    rows, dim = vectors.shape
    filled = np.zeros((rows, padded(dim)), dtype=np.float32)
    filled[:, :dim] = vectors
    return filled


def selector(excluded: Ids | None, only: Ids | None) -> Any:
    """Make FAISS look at some ids alone; others cost it no product. None for all of them."""
    if only is not None:
        return _bitmap(only, without=excluded)
    if excluded is None or not len(excluded):
        return None
    return faiss.IDSelectorNot(_bitmap(excluded))


def _bitmap(ids: Ids, *, without: Ids | None = None) -> Any:
    """Hold ids as bits: ids are issued one by one, so a million of them take 125 KB."""
    bits = np.zeros(int(ids.max(initial=-1)) + 1, dtype=np.bool_)
    bits[ids] = True
    if without is not None:
        bits[without[without < len(bits)]] = False
    bitmap: Any = faiss.IDSelectorBitmap
    return bitmap(np.packbits(bits, bitorder="little"))


def _tie_at(scores: Vectors, ids: Ids, k: int) -> NDArray[np.bool_]:
    """Tell which queries tie from rank `k` to the last row fetched. Shape (queries,)."""
    tied: NDArray[np.bool_] = (scores[:, k - 1] == scores[:, -1]) & (ids[:, -1] >= 0)
    return tied


def _ranked(scores: NDArray[np.float32], ids: Ids) -> list[Candidate]:
    """Drop FAISS's padding (id -1) and order by score, then by id."""
    found = ids >= 0
    scores, ids = scores[found], ids[found]
    return [
        Candidate(id=int(ids[at]), score=float(scores[at])) for at in np.lexsort((ids, -scores))
    ]

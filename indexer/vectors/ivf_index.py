"""An IVF index for large libraries: it groups vectors into clusters and searches the nearest ones.

A cluster contains the vectors around its centroid. A query searches the nprobe clusters whose
centroids have the largest inner products with it. Vectors are stored as float16, as in the segments
and the exact index. So a hit can only be lost if its cluster was not searched, and a search of all
clusters is exact. The file stays on the disk, and a search reads only the clusters that it needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.core.encoder import Vectors
from indexer.core.types import Candidate
from indexer.vectors.flat_index import (
    Ids,
    VectorBlock,
    best,
    filled,
    opened,
    padded,
    selector,
    write,
)
from indexer.vectors.segments import SegmentVectors

EXACT_ROWS = 100_000
"""So many vectors are searched one by one, in some 10 ms: a library, or what a filter leaves."""

_TRAINING_ROWS = 40  # a list; more of them move the centroids little


class IvfIndex:
    """Vectors by id in lists.

    Args:
        dim: length of every vector.
        index: of FAISS.
        probes: nprobe, the lists that a search reads, by how many candidates it wants at most; one
            that wants more looks through all.
        rows: the same vectors, by id.
        exact_rows: so many vectors that a filter lets through are searched one by one.
    """

    def __init__(
        self,
        dim: int,
        index: Any,
        *,
        probes: Mapping[int, int],
        rows: SegmentVectors,
        exact_rows: int,
    ) -> None:
        self.dim = dim
        self._index = index
        self._probes = dict(sorted(probes.items()))
        self._rows = rows
        self._exact_rows = exact_rows

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def ids(self) -> Ids:
        """The ids of all vectors. Shape (n,)."""
        return self._rows.ids

    @property
    def lists(self) -> int:
        """How many lists there are."""
        return int(self._index.nlist)

    def fetch(self, ids: Ids) -> Vectors:
        """Return stored vectors. Shape (ids, dim).

        Raises:
            KeyError: an id is not in the index.
        """
        return self._rows.fetch(ids)

    def search(
        self,
        queries: Vectors,
        k: int,
        *,
        excluded: Ids | None = None,
        only: Ids | None = None,
    ) -> list[list[Candidate]]:
        """Return for each query its `k` best vectors; see `VectorIndex.search`.

        What a filter lets through is looked at one by one where it is few. Where it is many, they
        are found as surely as without a filter: the fewer in a list count, the more lists.
        """
        few = 0 if excluded is None else len(excluded)
        probes = self.probes_for(k, len(self) - few if only is None else len(only))
        found = self.probe(queries, k, probes=probes, excluded=excluded, only=only)
        if probes < self.lists and any(len(hits) < min(k, len(self)) for hits in found):
            return self.probe(queries, k, probes=self.lists, excluded=excluded, only=only)
        return found

    def probes_for(self, k: int, matching: int | None = None) -> int:
        """Return how many lists are looked through for `k` candidates.

        Args:
            k: how many.
            matching: vectors that a filter lets through; None for all.
        """
        wanted = next((probes for depth, probes in self._probes.items() if k <= depth), self.lists)
        if matching is None or matching >= len(self):
            return min(wanted, self.lists)
        if matching <= self._exact_rows:
            return self.lists
        return min(self.lists, -(-wanted * len(self) // matching))

    def probe(
        self,
        queries: Vectors,
        k: int,
        *,
        probes: int,
        excluded: Ids | None = None,
        only: Ids | None = None,
    ) -> list[list[Candidate]]:
        """Return for each query the `k` best vectors of so many lists; of all lists, the best."""
        parameters: Any = faiss.SearchParametersIVF
        params = parameters(nprobe=probes, sel=selector(excluded, only))
        return best(self._index, queries, k, params)

    def ranks(self, queries: Vectors, ids: Ids) -> NDArray[np.int64]:
        """Return how many lists each query looks through before that of each of its ids.

        A search with a larger nprobe finds the id, if its score is among the best. Shapes
        (queries, dim) and (queries, n) → (queries, n).
        """
        _, order = self._index.quantizer.search(filled(queries), self.lists)
        rank = np.argsort(order, axis=1)  # (queries, lists)
        held = [self._list_ids(number) for number in range(self.lists)]
        place = np.repeat(np.arange(self.lists), [len(each) for each in held])
        by_id = np.argsort(all_ids := np.concatenate(held))
        at = by_id[np.searchsorted(all_ids, ids, sorter=by_id)]
        return np.take_along_axis(rank, place[at], axis=1)

    def save(self, path: Path) -> None:
        """Write the index to a file.

        Raises:
            TwinlensError: the disk is full or closed to us.
        """
        write(self._index, path)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        dim: int,
        size: int,
        probes: Mapping[int, int],
        rows: SegmentVectors,
        exact_rows: int,
    ) -> IvfIndex:
        """Open an index that `save` wrote. It stays on the disk.

        Raises:
            LibraryDamaged: no such file, or it is not an index of `size` vectors of `dim`.
        """
        index = opened(path, faiss.IndexIVFScalarQuantizer, "of type IVF", dim=dim, size=size)
        return cls(dim, index, probes=probes, rows=rows, exact_rows=exact_rows)

    def _list_ids(self, number: int) -> Ids:
        """Return the ids of a list. Shape (n,)."""
        lists = self._index.invlists
        size = lists.list_size(number)
        if not size:
            return np.empty(0, dtype=np.int64)
        ids: Ids = faiss.rev_swig_ptr(lists.get_ids(number), size).copy()
        return ids


def make(parts: Iterable[VectorBlock], sample: Vectors, size: int) -> Any:
    """Make lists of vectors, as FAISS holds them.

    Args:
        parts: the vectors.
        sample: of them, at random, about `training_rows(size)`. Shape (n, dim).
        size: how many vectors there are.
    """
    width = padded(sample.shape[1])
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(width),
        width,
        list_count(size),
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
        False,  # codes of the vectors themselves, not of what they have beyond the centroid
    )
    index.cp.min_points_per_centroid = 1  # fewer are no reason for FAISS to complain
    index.cp.max_points_per_centroid = _TRAINING_ROWS
    if _gpus():
        index.clustering_index = faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(width))
    index.train(filled(sample))
    for part in parts:
        index.add_with_ids(filled(part.vectors), part.ids)
    return index


def list_count(size: int) -> int:
    """Return how many lists fit so many vectors: about 2 √size, a power of two."""
    root = math.sqrt(max(1, size))
    return min(max(1, size), 1 << round(math.log2(2 * root)))


def training_rows(size: int) -> int:
    """Return how many vectors the lists of so many are learned from."""
    return min(size, _TRAINING_ROWS * list_count(size))


def _gpus() -> int:
    """Count the GPUs that FAISS can use: none unless its GPU build is installed."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0

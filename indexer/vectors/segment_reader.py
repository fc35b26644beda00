"""Read single vectors of segments by id, without loading the files.

The files are memory-mapped, and the system reads only the pages that are needed. So only the
checksum of the ids is compared here; `twinlens check` compares that of the whole file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from indexer.core.atomic_io import UNREADABLE
from indexer.core.encoder import Vectors
from indexer.core.errors import LibraryDamaged, mending
from indexer.core.types import SegmentRow
from indexer.vectors.segments import checksum_of_ids


@dataclass(frozen=True, kw_only=True)
class MappedSegment:
    """A segment on the disk.

    Attributes:
        ids: ascending. Shape (n,).
        vectors: shape (n, width).
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.ids)


class SegmentVectors:
    """The vectors of some segments, by id.

    Args:
        segments: no two of them hold the same id.
        width: length of every row.
    """

    def __init__(self, segments: Sequence[MappedSegment], width: int) -> None:
        self._segments = segments
        self._width = width

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids of all vectors, segment by segment. Shape (n,)."""
        none = np.empty(0, dtype=np.int64)
        return np.concatenate([none, *(segment.ids for segment in self._segments)])

    def fetch(self, ids: NDArray[np.int64]) -> Vectors:
        """Return stored vectors. Shape (ids, width).

        Raises:
            KeyError: no segment holds an id.
        """
        rows = np.empty((len(ids), self._width), dtype=np.float32)
        missing = np.ones(len(ids), dtype=np.bool_)
        for segment in filter(len, self._segments):
            at = np.minimum(np.searchsorted(segment.ids, ids), len(segment.ids) - 1)
            held = segment.ids[at] == ids
            rows[held] = segment.vectors[at[held]]
            missing &= ~held
        if missing.any():
            raise KeyError(f"no segment holds the ids {ids[missing].tolist()}")
        return rows


def mapped(path: Path, row: SegmentRow, width: int) -> MappedSegment:
    """Open a segment without reading it.

    Raises:
        LibraryDamaged: it is missing, truncated, or not what the catalog says.
    """
    remedy = mending(path.parent.parent)
    try:
        ids, vectors = _tensors(path)
    except FileNotFoundError as error:
        raise LibraryDamaged(path, "is missing", remedy) from error
    except UNREADABLE as error:
        raise LibraryDamaged(path, f"is broken ({error})", remedy) from error
    if (ids.shape, vectors.shape) != ((row.rows,), (row.rows, width)):
        what = f"does not hold {row.rows} {row.kind} vectors of length {width}"
        raise LibraryDamaged(path, what, remedy)
    return MappedSegment(ids=ids, vectors=vectors)


def _tensors(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Map the tensors of a segment, behind a header of JSON and its length in 8 bytes.

    Raises:
        Exception: one of `UNREADABLE`.
    """
    with safe_open(path, framework="numpy"):
        pass  # it is a whole file: the sizes in its header fit
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    start = 8 + length
    ids = np.memmap(
        path, np.int64, "r", start + header["ids"]["data_offsets"][0], tuple(header["ids"]["shape"])
    )
    vectors = np.memmap(
        path,
        np.float16,
        "r",
        start + header["vectors"]["data_offsets"][0],
        tuple(header["vectors"]["shape"]),
    )
    if (header["ids"]["dtype"], header["vectors"]["dtype"]) != ("I64", "F16"):
        raise ValueError("its vectors have another type")
    noted = header.get("__metadata__", {}).get("ids", checksum_of_ids(ids))
    if noted != checksum_of_ids(ids) or (np.diff(ids) <= 0).any():
        raise ValueError("its ids fail their checksum")
    return ids, vectors

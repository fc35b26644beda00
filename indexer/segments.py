"""Immutable files of vectors: the source of truth for what was embedded.

A segment is a safetensors file with `ids` int64 (n) and `vectors` float16 (n, width), and the
metadata `format` and `kind`. It is written once, whole, and never changed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from indexer.errors import LibraryDamaged, TwinlensError, way_out
from indexer.types import Kind, SegmentRow

SEGMENT_FORMAT = "1"

MERGED_ROWS = 65_536
"""Merging stops at so many rows: 64 MB at 512 dimensions, little enough to read in one go."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Vectors of one kind under the ids of their items.

    Attributes:
        kind: what the items are.
        ids: ascending. Shape (n,).
        vectors: of unit norm; in a library of format 2 followed by the item's hubness. Shape
            (n, width).
    """

    kind: Kind
    ids: NDArray[np.int64]
    vectors: NDArray[np.float16]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name to write to; on leaving, that file takes the place of `path` for good.

    A process killed at any moment leaves the old file, or none, or the whole new one.

    Raises:
        TwinlensError: the disk is full or closed to us.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise TwinlensError(f"cannot write {path}: {error.strerror or error}") from error


class SegmentStore:
    """The segments of a library: one folder of numbered files.

    Args:
        folder: where they lie.
        width: length of every row.
    """

    def __init__(self, folder: Path, width: int) -> None:
        self._folder = folder
        self._width = width

    def path(self, number: int) -> Path:
        """Return where a segment lies."""
        return self._folder / f"{number:06d}.safetensors"

    def write(self, segments: Iterable[Segment], first: int) -> list[SegmentRow]:
        """Write segments under the numbers from `first` on; return once they are on the disk."""
        self._folder.mkdir(exist_ok=True)
        rows = []
        for number, segment in enumerate(segments, start=first):
            with replacing(self.path(number)) as part:
                part.write_bytes(_file(segment))
            rows.append(SegmentRow(number=number, kind=segment.kind, rows=len(segment.ids)))
        return rows

    def read(self, row: SegmentRow) -> Segment:
        """Read a segment that the catalog names.

        Raises:
            LibraryDamaged: the file is missing, truncated, or not what the catalog says.
        """
        path = self.path(row.number)
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                ids, vectors = file.get_tensor("ids"), file.get_tensor("vectors")
        except FileNotFoundError as error:
            raise LibraryDamaged(_damage(path, "is missing")) from error
        except (SafetensorError, OSError, TypeError, ValueError) as error:
            raise LibraryDamaged(_damage(path, f"is broken ({error})")) from error
        found = (metadata.get("kind"), ids.dtype, ids.shape, vectors.dtype, vectors.shape)
        wanted = (row.kind.value, np.int64, (row.rows,), np.float16, (row.rows, self._width))
        if found != wanted:
            what = f"does not hold {row.rows} {row.kind} vectors of length {self._width}"
            raise LibraryDamaged(_damage(path, what))
        return Segment(kind=row.kind, ids=ids, vectors=vectors)

    def joined(
        self, rows: Iterable[SegmentRow], *, without: NDArray[np.int64]
    ) -> Iterator[Segment]:
        """Yield the vectors of segments of one kind again, as few and larger segments.

        Args:
            rows: the segments, in the order of their numbers.
            without: ids to leave out. Shape (n,).
        """
        pending: list[Segment] = []
        for row in rows:
            pending.append(_less(self.read(row), without))
            if sum(len(segment.ids) for segment in pending) >= MERGED_ROWS:
                yield _concatenated(pending)
                pending = []
        if any(len(segment.ids) for segment in pending):
            yield _concatenated(pending)

    def sweep(self, numbers: Collection[int]) -> None:
        """Delete every file of the folder but the segments of these numbers."""
        names = {self.path(number).name for number in numbers}
        for path in self._folder.glob("*"):
            if path.name not in names:
                path.unlink(missing_ok=True)


def _file(segment: Segment) -> bytes:
    """Lay out a segment as a file."""
    vectors = np.ascontiguousarray(segment.vectors)
    tensors: dict[str, NDArray[Any]] = {"ids": segment.ids, "vectors": vectors}
    data: bytes = save(tensors, metadata={"format": SEGMENT_FORMAT, "kind": segment.kind.value})
    return data


def _less(segment: Segment, ids: NDArray[np.int64]) -> Segment:
    """Leave some ids out of a segment."""
    kept = ~np.isin(segment.ids, ids)
    return Segment(kind=segment.kind, ids=segment.ids[kept], vectors=segment.vectors[kept])


def _concatenated(segments: Sequence[Segment]) -> Segment:
    """Join segments of one kind, by ascending id."""
    ids = np.concatenate([segment.ids for segment in segments])
    vectors = np.concatenate([segment.vectors for segment in segments])
    order = np.argsort(ids)
    return Segment(kind=segments[0].kind, ids=ids[order], vectors=vectors[order])


def _damage(path: Path, what: str) -> str:
    """Name the file and the way out."""
    return f"{path} {what}; {way_out(path.parent.parent)}"


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows has no folder to open
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Segments: immutable files of vectors, the source of truth for what was embedded.

A segment is a safetensors file with `ids` int64 (n) and `vectors` float16 (n, width), and the
metadata `format`, `kind`, `ids` (a checksum of the ids alone), `checksum` and `seal`. It is written
once, whole, and never changed. Every read compares the checksum, so a vector with a flipped bit is
never searched and never copied on. Files of older versions without a checksum are accepted as they
are.

Vectors are also read by id, one by one (`mapped`): the files stay on the disk, and what is looked
at is read by the system's page. So only the ids are compared with a checksum there; that of the
whole file `twinlens check` compares.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from indexer.core.atomic_io import UNREADABLE, discard, read_sealed, replacing, sealed
from indexer.core.encoder import Vectors
from indexer.core.errors import LibraryDamaged, mending
from indexer.core.permissions import make_folder
from indexer.core.types import Kind, SegmentRow

SEGMENT_FORMAT = "1"

_ENDINGS = (".safetensors", ".faiss", ".part")
"""Of files in a library that a sweep may delete."""

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
        make_folder(self._folder)
        rows = []
        for number, segment in enumerate(segments, start=first):
            with replacing(self.path(number), private=True) as part:
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
            tensors, metadata = read_sealed(path)
            ids, vectors = tensors["ids"], tensors["vectors"]
        except FileNotFoundError as error:
            raise _damage(path, "is missing") from error
        except UNREADABLE as error:
            raise _damage(path, f"is broken ({error})") from error
        found = [metadata.get("kind"), ids.dtype, ids.shape, vectors.dtype, vectors.shape]
        wanted: list[object]
        wanted = [row.kind.value, np.int64, (row.rows,), np.float16, (row.rows, self._width)]
        if found != wanted:
            what = f"does not hold {row.rows} {row.kind} vectors of length {self._width}"
            raise _damage(path, what)
        return Segment(kind=row.kind, ids=ids, vectors=vectors)

    def numbers(self) -> list[int]:
        """Return the numbers of all segments on the disk, whoever names them."""
        names = [path.stem for path in self._folder.glob("*.safetensors")]
        return [int(name) for name in names if name.isascii() and name.isdecimal()]

    def survey(self, number: int) -> tuple[SegmentRow, Segment]:
        """Read a segment that no catalog tells about.

        Raises:
            LibraryDamaged: it is broken, or of another width.
        """
        path = self.path(number)
        try:
            tensors, metadata = read_sealed(path)
            row = SegmentRow(
                number=number, kind=Kind(metadata.get("kind", "")), rows=len(tensors["ids"])
            )
        except UNREADABLE as error:
            raise _damage(path, f"is broken ({error})") from error
        return row, self.read(row)

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
        """Delete every file of ours in the folder but the segments of these numbers."""
        names = {self.path(number).name for number in numbers}
        for path in self._folder.glob("*"):
            if path.name not in names and is_ours(path):
                discard(path)


def is_ours(path: Path) -> bool:
    """Tell by its name whether a file was written by this package: others are left alone."""
    return path.name.endswith(_ENDINGS) and not path.is_dir()


def mapped(path: Path, row: SegmentRow, width: int) -> MappedSegment:
    """Open a segment without reading it.

    Raises:
        LibraryDamaged: it is missing, truncated, or not what the catalog says.
    """
    try:
        ids, vectors = _tensors(path)
    except FileNotFoundError as error:
        raise _damage(path, "is missing") from error
    except UNREADABLE as error:
        raise _damage(path, f"is broken ({error})") from error
    if (ids.shape, vectors.shape) != ((row.rows,), (row.rows, width)):
        what = f"does not hold {row.rows} {row.kind} vectors of length {width}"
        raise _damage(path, what)
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
        raise ValueError("its numbers are of another type")
    noted = header.get("__metadata__", {}).get("ids", checksum_of_ids(ids))
    if noted != checksum_of_ids(ids) or (np.diff(ids) <= 0).any():
        raise ValueError("its ids are not what was written")
    return ids, vectors


def checksum_of_ids(ids: NDArray[np.int64]) -> str:
    """Hash ids alone: a search that reads single vectors compares it, and not all of the file."""
    return f"{crc32(ids.tobytes()):08x}"


def _file(segment: Segment) -> bytes:
    """Lay out a segment as a file."""
    return sealed(
        {"ids": segment.ids, "vectors": segment.vectors},
        {
            "format": SEGMENT_FORMAT,
            "kind": segment.kind.value,
            "ids": checksum_of_ids(segment.ids),
        },
    )


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


def _damage(path: Path, fault: str) -> LibraryDamaged:
    """Name the file and the way out."""
    return LibraryDamaged(path, fault, mending(path.parent.parent))

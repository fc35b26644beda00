"""The saved indexes of a library: their type, and how they are built, tuned and opened.

They are derived from the segments. The catalog names each index by the number of its last segment;
for an IVF index it also stores the search parameters: see `indexer.vectors.nprobe_tuning`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from indexer.catalog.meta import SavedIndexMeta, VectorSnapshot
from indexer.core.atomic_io import checksum_of, discard, replacing
from indexer.core.errors import LibraryDamaged, mending
from indexer.core.permissions import make_folder
from indexer.core.types import Kind, SegmentRow
from indexer.vectors.composite_index import SavedIndex
from indexer.vectors.flat_index import FlatIndex, MutableFlatIndex, vector_bytes
from indexer.vectors.index_seal import IndexSeal, sealed_file
from indexer.vectors.ivf_index import IvfIndex, make, training_rows
from indexer.vectors.nprobe_tuning import (
    Ranks,
    RecallTarget,
    SearchParams,
    TuningQueries,
    choose_nprobe,
    halved,
    neighbour_ranks,
)
from indexer.vectors.segments import SegmentStore, SegmentVectors, is_ours, mapped

Questions: TypeAlias = Callable[[Kind], Mapping[Kind, TuningQueries]]
"""Gives queries by their kind, to tune the index of the items of a kind."""


class IndexStore:
    """The folder of saved indexes.

    Args:
        folder: where they lie.
        segments: that they are made of.
        width: length of every row.
    """

    def __init__(self, folder: Path, segments: SegmentStore, width: int) -> None:
        self._folder = folder
        self._segments = segments
        self._width = width

    def path(self, kind: Kind, number: int) -> Path:
        """Return where the index over the segments up to a number lies."""
        return self._folder / f"{kind}-{number:06d}.faiss"

    def write(
        self, kind: Kind, snapshot: VectorSnapshot, aim: RecallTarget, questions: Questions
    ) -> SavedIndexMeta:
        """Save an index over all segments of a kind, of the type that their number asks for.

        Returns:
            What the catalog has to name.

        Raises:
            TwinlensError: the disk is full or closed to us.
            LibraryDamaged: a segment is missing or broken.
        """
        number = max((row.number for row in snapshot.segments), default=0)
        make_folder(self._folder)
        with replacing(self.path(kind, number), private=True) as part:
            if aim.is_exact(count(snapshot.segments)):
                self._exact(snapshot).save(part)
                return SavedIndexMeta(
                    number=number, plan="", seal=self._seal(part, snapshot).dumps()
                )
            index = self._inverted(snapshot)
            ranks = self._ranks(index, snapshot.segments, halved(questions(kind), 0))
            index.save(part)
            seal = self._seal(part, snapshot, in_lists=True)
            plan = SearchParams(
                probes=choose_nprobe(ranks, aim.recall), bytes=seal.bytes, checksum=seal.checksum
            )
            return SavedIndexMeta(number=number, plan=plan.dumps(), seal=seal.dumps())

    def resealed(self, kind: Kind, snapshot: VectorSnapshot, aim: RecallTarget) -> str:
        """Return the seal of an index that was saved before there were any.

        Raises:
            LibraryDamaged: it is missing, or not what its segments or search parameters say.
        """
        path = self.path(kind, snapshot.base)
        if not self.is_whole(kind, snapshot, aim):
            raise self._damage(path, "does not match its segments")
        named = replace(snapshot, segments=tuple(base_segments(snapshot)))
        return self._seal(path, named, in_lists=bool(snapshot.plan)).dumps()

    def fault(self, kind: Kind, snapshot: VectorSnapshot) -> str:
        """Say why a saved index cannot be opened, "" where it can, or none is saved."""
        if not snapshot.base:
            return ""
        path = self.path(kind, snapshot.base)
        try:
            return self._read_seal(path, snapshot).fault(path) if snapshot.seal else ""
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read ({error.strerror or error})"
        except LibraryDamaged as error:
            return error.fault

    def open(
        self, kind: Kind, snapshot: VectorSnapshot, aim: Callable[[], RecallTarget]
    ) -> SavedIndex:
        """Open the index that a snapshot names.

        Args:
            kind: of the items.
            snapshot: of their vectors.
            aim: gives what the index has to reach; an exact one needs none.

        Raises:
            LibraryDamaged: it is missing, or not what the catalog says.
        """
        path, rows = self.path(kind, snapshot.base), base_segments(snapshot)
        if fault := self.fault(kind, snapshot):
            raise self._damage(path, fault)
        if not snapshot.plan:
            return FlatIndex.load(path, dim=self._width, size=count(rows))
        plan = self._plan(kind, snapshot)
        if path.exists() and path.stat().st_size != plan.bytes:
            raise self._damage(path, "fails its checksum")
        return IvfIndex.load(
            path,
            dim=self._width,
            size=count(rows),
            probes=plan.probes,
            rows=self.rows(rows),
            exact_rows=aim().exact_rows,
        )

    def suits(self, snapshot: VectorSnapshot, aim: RecallTarget) -> bool:
        """Return whether the index is of the type that the size asks for; true if none is saved."""
        exact = aim.is_exact(count(snapshot.segments))
        return not snapshot.base or exact == (not snapshot.plan)

    def is_whole(self, kind: Kind, snapshot: VectorSnapshot, aim: RecallTarget) -> bool:
        """Return whether the index holds what its segments hold.

        Raises:
            LibraryDamaged: it is missing, or not what the catalog says.
        """
        path = self.path(kind, snapshot.base)
        index = self.open(kind, snapshot, lambda: aim)
        if isinstance(index, FlatIndex) and not index.is_made_of(
            map(self._segments.read, base_segments(snapshot))
        ):
            return False
        if snapshot.plan and checksum_of(path) != self._plan(kind, snapshot).checksum:
            return False
        return not snapshot.seal or self._read_seal(path, snapshot).is_whole(path)

    def tuned(
        self, kind: Kind, snapshot: VectorSnapshot, aim: RecallTarget, questions: Questions
    ) -> str:
        """Return the search parameters of an IVF index for a recall target, else none."""
        if not snapshot.plan:
            return ""
        ranks = self.ranks(kind, snapshot, aim, halved(questions(kind), 0))
        return replace(self._plan(kind, snapshot), probes=choose_nprobe(ranks, aim.recall)).dumps()

    def ranks(
        self,
        kind: Kind,
        snapshot: VectorSnapshot,
        aim: RecallTarget,
        asking: Mapping[Kind, TuningQueries],
    ) -> dict[Kind, Ranks]:
        """Return the ranks of the lists that hold true neighbours; empty for an exact index.

        Raises:
            LibraryDamaged: the index is missing, or not what the catalog says.
        """
        index = self.open(kind, snapshot, lambda: aim)
        if not isinstance(index, IvfIndex):
            return {}
        return self._ranks(index, base_segments(snapshot), asking)

    def rows(self, named: Iterable[SegmentRow]) -> SegmentVectors:
        """Open segments, to read their vectors by id.

        Raises:
            LibraryDamaged: one is missing, or not what the catalog says.
        """
        opened = [mapped(self._segments.path(row.number), row, self._width) for row in named]
        return SegmentVectors(opened, self._width)

    def sweep(self, numbers: Mapping[Kind, int]) -> None:
        """Delete every file of ours in the folder but the indexes of these numbers."""
        named = {self.path(kind, number) for kind, number in numbers.items()}
        for path in self._folder.glob("*"):
            if path not in named and is_ours(path):
                discard(path)

    def _plan(self, kind: Kind, snapshot: VectorSnapshot) -> SearchParams:
        """Read the search parameters of an IVF index."""
        try:
            return SearchParams.loads(snapshot.plan)
        except (ValueError, KeyError, TypeError) as error:
            path = self.path(kind, snapshot.base)
            raise self._damage(path, "has search parameters that cannot be read") from error

    def _read_seal(self, path: Path, snapshot: VectorSnapshot) -> IndexSeal:
        """Read what the catalog noted of a file."""
        try:
            return IndexSeal.loads(snapshot.seal)
        except (ValueError, TypeError) as error:
            raise self._damage(path, "has a checksum that cannot be read") from error

    def _seal(self, path: Path, snapshot: VectorSnapshot, *, in_lists: bool = False) -> IndexSeal:
        """Note what the file of an index over all segments of a snapshot is."""
        size, rows = path.stat().st_size, count(snapshot.segments)
        return sealed_file(path, vector_bytes(size, rows, self._width, in_lists=in_lists))

    def _damage(self, path: Path, fault: str) -> LibraryDamaged:
        """Name the file and the way out."""
        return LibraryDamaged(path, fault, mending(path.parent.parent))

    def _exact(self, snapshot: VectorSnapshot) -> MutableFlatIndex:
        """Make an exact index of all segments."""
        index = MutableFlatIndex(self._width)
        for segment in map(self._segments.read, snapshot.segments):
            index.add(segment.ids, segment.vectors)
        return index

    def _inverted(self, snapshot: VectorSnapshot) -> IvfIndex:
        """Make an IVF index of all segments."""
        rows, size = self.rows(snapshot.segments), count(snapshot.segments)
        drawn = np.random.default_rng(0).permutation(rows.ids)[: training_rows(size)]
        sample = rows.fetch(np.sort(drawn))
        lists = make(map(self._segments.read, snapshot.segments), sample, size)
        return IvfIndex(self._width, lists, probes={}, rows=rows, exact_rows=size)

    def _ranks(
        self, index: IvfIndex, named: Iterable[SegmentRow], asking: Mapping[Kind, TuningQueries]
    ) -> dict[Kind, Ranks]:
        """Return the ranks of the lists that hold true neighbours among some segments."""
        return neighbour_ranks(index, map(self._segments.read, named), asking)


def base_segments(snapshot: VectorSnapshot) -> list[SegmentRow]:
    """Return the segments that the saved index holds."""
    return [row for row in snapshot.segments if row.number <= snapshot.base]


def count(rows: Iterable[SegmentRow]) -> int:
    """Count the vectors in segments."""
    return sum(row.rows for row in rows)

"""The vectors of a library: segments and saved indexes on disk, one index a kind in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from indexer.catalog import Catalog, Merge, Snapshot
from indexer.errors import LibraryDamaged, ModelMismatch
from indexer.segments import MERGED_ROWS, Segment, SegmentStore, replacing
from indexer.types import Kind, SegmentRow
from indexer.vectors import Ids, VectorIndex

STALE_SHARE = 0.1
"""The saved index is written anew once it lacks this share; deleted vectors go at this share."""

MAX_TAIL = 8
"""So many segments may be newer than the saved index: each costs the first search a file."""


_NONE: Ids = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The vectors of one kind in memory, as of one commit."""

    generation: int
    numbers: frozenset[int]
    index: VectorIndex
    deleted: Ids


class Shelf:
    """Keeps the vectors that the catalog names: writes, merges, sweeps and loads them.

    Only the one writer may call `write`, `refresh` and `sweep`.

    Args:
        folder: the library.
        catalog: of that library.
    """

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self._catalog = catalog
        self._folder = folder
        self._width, self._fingerprint = catalog.facts().width, catalog.facts().fingerprint
        self._segments = SegmentStore(folder / "vectors", self._width)
        self._ann = folder / "ann"
        self._loaded: dict[Kind, Loaded] = {}

    def write(self, segments: Iterable[Segment]) -> list[SegmentRow]:
        """Write segments under the next free numbers, for the catalog to name."""
        return self._segments.write(segments, self._catalog.facts().next_segment)

    def segments(self, kind: Kind) -> Iterator[Segment]:
        """Yield the vectors of the items of a kind, in few segments."""
        snapshot = self._catalog.snapshot(kind)
        return self._segments.joined(snapshot.segments, without=snapshot.deleted)

    def refresh(self) -> None:
        """Merge small segments, drop deleted vectors and save the FAISS index, where that pays.

        The cost of an index run so grows with what changed, not with the library.
        """
        for kind in Kind:
            snapshot = self._catalog.snapshot(kind)
            tail = [row for row in snapshot.segments if row.number > snapshot.base]
            total, newer = _count(snapshot.segments), _count(tail)
            if len(snapshot.deleted) > STALE_SHARE * total:
                self._merge(kind, snapshot.segments, base=0, purged=snapshot.deleted)
                self.rebuild(kind)
            elif newer > STALE_SHARE * (total - newer):
                small = [row for row in snapshot.segments if row.rows < MERGED_ROWS]
                self._merge(kind, small, base=0)
                self.rebuild(kind)
            elif len(tail) > MAX_TAIL:
                self._merge(kind, tail, base=snapshot.base)
        self.sweep()

    def sweep(self) -> None:
        """Delete the files that no commit names: a killed writer's, and those merged away."""
        self._segments.sweep(self._catalog.segment_numbers())
        named = {self.base_path(kind, self._catalog.snapshot(kind).base) for kind in Kind}
        for path in self._ann.glob("*"):
            if path not in named:
                path.unlink(missing_ok=True)

    def load(self, kind: Kind) -> Loaded:
        """Return the vectors of a kind as of the last commit."""
        loaded, facts = self._loaded.get(kind), self._catalog.facts()
        if facts.fingerprint != self._fingerprint:
            raise ModelMismatch(
                self._folder, f"has the model {facts.model!r} since it was opened", "open it again"
            )
        if loaded is None or loaded.generation != facts.generation:
            self._loaded.pop(kind, None)  # a failed load must not leave a half-grown index
            loaded = self._loaded[kind] = self._reload(kind, loaded)
        return loaded

    def rebuild(self, kind: Kind) -> None:
        """Save an index over all segments of a kind."""
        snapshot = self._catalog.snapshot(kind)
        index = VectorIndex(self._width)
        for row in snapshot.segments:
            segment = self._segments.read(row)
            index.add(segment.ids, segment.vectors)
        number = max((row.number for row in snapshot.segments), default=0)
        self._ann.mkdir(exist_ok=True)
        with replacing(self.base_path(kind, number)) as part:
            index.save(part)
        self._catalog.rebase(kind, number)

    def base_path(self, kind: Kind, number: int) -> Path:
        """Return where the saved index over the segments up to a number lies."""
        return self._ann / f"{kind}-{number:06d}.faiss"

    def _merge(
        self, kind: Kind, rows: Sequence[SegmentRow], *, base: int, purged: Ids = _NONE
    ) -> None:
        """Write segments anew as fewer ones, without the vectors of the purged ids."""
        if len(rows) < 2 and not len(purged):
            return
        new = self.write(self._segments.joined(rows, without=purged))
        old = [row.number for row in rows]
        self._catalog.merge(Merge(kind=kind, old=old, new=new, purged=purged, base=base))

    def _reload(self, kind: Kind, loaded: Loaded | None) -> Loaded:
        """Read the last commit; once more if a writer merged segments away meanwhile."""
        while True:
            snapshot = self._catalog.snapshot(kind)
            try:
                return self._read(kind, snapshot, loaded)
            except LibraryDamaged:
                if snapshot.generation == self._catalog.facts().generation:
                    raise
                loaded = None

    def _read(self, kind: Kind, snapshot: Snapshot, loaded: Loaded | None) -> Loaded:
        """Add to the vectors in memory those of the segments that are newer."""
        numbers = frozenset(row.number for row in snapshot.segments)
        if loaded is not None and loaded.numbers <= numbers:
            index, held = loaded.index, loaded.numbers
        else:
            index, held = self._read_base(kind, snapshot)
        for row in snapshot.segments:
            if row.number not in held:
                segment = self._segments.read(row)
                index.add(segment.ids, segment.vectors)
        return Loaded(
            generation=snapshot.generation,
            numbers=numbers,
            index=index,
            deleted=snapshot.deleted,
        )

    def _read_base(self, kind: Kind, snapshot: Snapshot) -> tuple[VectorIndex, frozenset[int]]:
        """Read the saved index and say which segments it holds.

        It is derived: where it is missing or broken, an empty one takes its place, to be
        filled from the segments.
        """
        held = [row for row in snapshot.segments if row.number <= snapshot.base]
        path = self.base_path(kind, snapshot.base)
        try:
            index = VectorIndex.load(path, dim=self._width, size=_count(held))
        except LibraryDamaged:
            return VectorIndex(self._width), frozenset()
        return index, frozenset(row.number for row in held)


def _count(rows: Iterable[SegmentRow]) -> int:
    """Count the vectors in segments."""
    return sum(row.rows for row in rows)

"""The vector store of a library: segments and saved indexes on disk, one index per kind in RAM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexer.catalog.changes import Merge
from indexer.catalog.meta import LibraryMeta, SavedIndexMeta, VectorSnapshot
from indexer.catalog.reader import CatalogReader, catalog_path
from indexer.core.errors import LibraryDamaged, ModelMismatch, UsageError, mending
from indexer.core.types import Kind, SegmentRow
from indexer.vectors.composite_index import CompositeIndex, SavedIndex
from indexer.vectors.flat_index import Ids, MutableFlatIndex
from indexer.vectors.index_files import IndexStore, Questions, base_segments, count
from indexer.vectors.ivf_index import EXACT_ROWS
from indexer.vectors.nprobe_tuning import Ranks, RecallTarget, TuningQueries
from indexer.vectors.segments import MERGED_ROWS, Segment, SegmentStore, SegmentVectors

if TYPE_CHECKING:
    from indexer.catalog.writer import CatalogWriter

STALE_SHARE = 0.1
"""The saved index is rewritten once it lacks this share; deleted vectors go at this share."""

MAX_TAIL_ROWS = EXACT_ROWS
"""Or so many vectors, however large it is: each search looks at them one by one."""

MAX_TAIL = 8
"""So many segments may be newer than the saved index: each costs the first search a file."""


FEW_ROWS = 20_000
"""In a library of so many vectors what was deleted goes with the next index run: it costs less
than a second to write them again."""

_NONE: Ids = np.empty(0, dtype=np.int64)


_AIM = "aim"  # the fact that says what the indexes have to reach


class VectorStore:
    """Keeps the vectors that the catalog names: writes, merges, sweeps and loads them.

    Only the one writer may call `write`, `refresh` and `sweep`.

    Args:
        folder: the library.
        view: of its catalog.
        catalog: gives the whole of it, to the one writer.
        facts: of the library, as it was opened.
    """

    def __init__(
        self,
        folder: Path,
        view: CatalogReader,
        catalog: Callable[[], CatalogWriter],
        facts: LibraryMeta,
    ) -> None:
        self._view, self._whole = view, catalog
        self._folder = folder
        self._width, self._fingerprint = facts.width, facts.fingerprint
        self._segments = SegmentStore(folder / "vectors", self._width)
        self.indexes = IndexStore(folder / "ann", self._segments, self._width)
        self._loaded: dict[Kind, CompositeIndex] = {}

    def write(self, segments: Iterable[Segment]) -> list[SegmentRow]:
        """Write segments under the next free numbers, for the catalog to name."""
        return self._segments.write(segments, self._view.facts().next_segment)

    def segments(self, kind: Kind) -> Iterator[Segment]:
        """Yield the vectors of the items of a kind, in few segments."""
        snapshot = self._view.snapshot(kind)
        return self._segments.joined(snapshot.segments, without=snapshot.deleted)

    def aim(self) -> RecallTarget:
        """Return what the indexes have to reach."""
        try:
            return RecallTarget.loads(self._view.noted(_AIM))
        except (ValueError, TypeError, UsageError) as error:
            fault = f"is broken (its recall target cannot be read: {error})"
            raise LibraryDamaged(
                catalog_path(self._folder), fault, mending(self._folder)
            ) from error

    def set_aim(self, aim: RecallTarget) -> None:
        """Note what the indexes have to reach from the next time they are written."""
        self._whole().note(_AIM, aim.dumps())

    def refresh(self, questions: Questions) -> None:
        """Merge small segments, drop deleted vectors and save the FAISS index, where that pays.

        The cost of an index run so grows with what changed, not with the library.
        """
        for kind in Kind:
            snapshot = self._view.snapshot(kind)
            tail = [row for row in snapshot.segments if row.number > snapshot.base]
            total, newer = count(snapshot.segments), count(tail)
            if self.is_stale(snapshot):
                self._merge(kind, snapshot.segments, base=0, purged=snapshot.deleted)
                self.rebuild(kind, questions)
            elif newer > min(STALE_SHARE * (total - newer), MAX_TAIL_ROWS):
                small = [row for row in snapshot.segments if row.rows < MERGED_ROWS]
                self._merge(kind, small, base=0)
                self.rebuild(kind, questions)
            elif self.indexes.fault(kind, snapshot) or not self.indexes.suits(snapshot, self.aim()):
                self.rebuild(kind, questions)
            elif len(tail) > MAX_TAIL:
                self._merge(kind, tail, base=snapshot.base)
        self.sweep()

    def is_stale(self, snapshot: VectorSnapshot) -> bool:
        """Return whether the deleted vectors of a kind have to go: at once if that costs little."""
        deleted, total = len(snapshot.deleted), count(snapshot.segments)
        costs_little = total <= FEW_ROWS and not snapshot.plan
        return deleted > STALE_SHARE * total or (deleted > 0 and costs_little)

    def purge(self, questions: Questions) -> None:
        """Take the vectors of all that was deleted from the disk, whatever it costs."""
        for kind in Kind:
            snapshot = self._view.snapshot(kind)
            if len(snapshot.deleted):
                held = [row for row in snapshot.segments if self._holds(row, snapshot.deleted)]
                self._merge(kind, held, base=0, purged=snapshot.deleted)
                self.rebuild(kind, questions)
        self.sweep()

    def _holds(self, row: SegmentRow, ids: Ids) -> bool:
        """Return whether a segment holds one of some ids."""
        return bool(np.isin(self._segments.read(row).ids, ids).any())

    def sweep(self) -> None:
        """Delete the files that no commit names: a killed writer's, and those merged away."""
        self._segments.sweep(self._whole().segment_numbers())
        self.indexes.sweep({kind: self._view.snapshot(kind).base for kind in Kind})

    def reseal(self) -> None:
        """Note what the saved indexes are that were written before there were seals.

        One that is not what it should be is named no longer: the next run writes it again.
        """
        for kind in Kind:
            snapshot = self._view.snapshot(kind)
            if snapshot.base and not snapshot.seal:
                try:
                    seal = self.indexes.resealed(kind, snapshot, self.aim())
                    saved = SavedIndexMeta(number=snapshot.base, plan=snapshot.plan, seal=seal)
                except LibraryDamaged:
                    saved = SavedIndexMeta(number=0, plan="", seal="")
                self._whole().rebase(kind, saved)

    def load(self, kind: Kind) -> CompositeIndex:
        """Return the vectors of a kind as of the last commit."""
        return self._view.at_one_commit(lambda: self._load(kind))

    def _load(self, kind: Kind) -> CompositeIndex:
        """Return the vectors of a kind as of a commit; what is there of an older one grows."""
        loaded, facts = self._loaded.get(kind), self._view.facts()
        if facts.fingerprint != self._fingerprint:
            raise ModelMismatch(
                self._folder,
                f"changed to the model {facts.model!r} after it was opened",
                "open it again",
            )
        if loaded is None or loaded.generation != facts.generation:
            self._loaded.pop(kind, None)  # a failed load leaves a half-grown tail
            loaded = self._read(kind, self._view.snapshot(kind), loaded)
            self._loaded[kind] = loaded
        return loaded

    def rebuild(self, kind: Kind, questions: Questions) -> None:
        """Save an index over all segments of a kind, of the type that their number asks for."""
        snapshot = self._view.snapshot(kind)
        self._whole().rebase(kind, self.indexes.write(kind, snapshot, self.aim(), questions))

    def tune(self, kind: Kind, questions: Questions) -> None:
        """Make the saved index of a kind reach the recall target; rewrite it if need be."""
        snapshot, aim = self._view.snapshot(kind), self.aim()
        if snapshot.segments and not (snapshot.base and self.indexes.suits(snapshot, aim)):
            self.rebuild(kind, questions)
        elif snapshot.base:
            plan = self.indexes.tuned(kind, snapshot, aim, questions)
            saved = SavedIndexMeta(number=snapshot.base, plan=plan, seal=snapshot.seal)
            self._whole().rebase(kind, saved)

    def ranks(self, kind: Kind, asking: Mapping[Kind, TuningQueries]) -> dict[Kind, Ranks]:
        """Return the ranks of the lists that hold true neighbours; empty for an exact index.

        Raises:
            LibraryDamaged: the saved index is missing, or not what the catalog says.
        """
        return self.indexes.ranks(kind, self._view.snapshot(kind), self.aim(), asking)

    def rows(self, kind: Kind) -> tuple[SegmentVectors, Ids]:
        """Return the vectors of a kind by id, and the ids that have no item any more."""
        return self._view.at_one_commit(lambda: self._rows(self._view.snapshot(kind)))

    def _rows(self, snapshot: VectorSnapshot) -> tuple[SegmentVectors, Ids]:
        """Open the vectors that a commit names."""
        return self.indexes.rows(snapshot.segments), snapshot.deleted

    def _merge(
        self, kind: Kind, rows: Sequence[SegmentRow], *, base: int, purged: Ids = _NONE
    ) -> None:
        """Rewrite segments as fewer ones, without the vectors of the purged ids."""
        if len(rows) < 2 and not len(purged):
            return
        new = self.write(self._segments.joined(rows, without=purged))
        old = [row.number for row in rows]
        self._whole().merge(Merge(kind=kind, old=old, new=new, purged=purged, base=base))

    def _read(
        self, kind: Kind, snapshot: VectorSnapshot, loaded: CompositeIndex | None
    ) -> CompositeIndex:
        """Open the saved index, and read the segments that are newer; what is there is kept."""
        numbers = frozenset(row.number for row in snapshot.segments)
        if (
            loaded is not None
            and (loaded.number, loaded.plan) == (snapshot.base, snapshot.plan)
            and loaded.numbers <= numbers
        ):
            base, tail, there = loaded.base, loaded.tail, loaded.numbers
        else:
            base, there = self._read_base(kind, snapshot)
            tail = MutableFlatIndex(self._width)
        for row in snapshot.segments:
            if row.number not in there:
                segment = self._segments.read(row)
                tail.add(segment.ids, segment.vectors)
        return CompositeIndex(
            generation=snapshot.generation,
            numbers=numbers,
            base=base,
            number=snapshot.base,
            plan=snapshot.plan,
            tail=tail,
            deleted=snapshot.deleted,
        )

    def _read_base(self, kind: Kind, snapshot: VectorSnapshot) -> tuple[SavedIndex, frozenset[int]]:
        """Open the saved index and say which segments it holds.

        It is derived: where it is missing or broken, an empty one takes its place, and all
        segments are read.
        """
        try:
            base = self.indexes.open(kind, snapshot, self.aim)
        except LibraryDamaged:
            return MutableFlatIndex(self._width), frozenset()
        return base, frozenset(row.number for row in base_segments(snapshot))

"""Verify a library on disk, and repair it.

The photos can always be embedded again, so a repair never guesses. Data that cannot be trusted are
removed and reported, and the next index run makes them again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from indexer.calibration.reference_set import COHORTS, read_banks
from indexer.calibration.score_normalizer import ScoreNormalizer
from indexer.catalog.meta import VectorSnapshot
from indexer.catalog.reader import BROKEN, catalog_path
from indexer.catalog.writer import CatalogWriter
from indexer.core.encoder import UNIT_TOLERANCE
from indexer.core.errors import LibraryDamaged, LibraryMissing, LibraryTooNew, mending
from indexer.core.types import Kind, SegmentRow
from indexer.library.library import NEXT, Library
from indexer.library.lock import LockTimeout, holding_lock, lock_of
from indexer.library.repair import rescue
from indexer.vectors.flat_index import Ids
from indexer.vectors.patch_tokens import TOKENS, PatchTokenCache
from indexer.vectors.segments import Segment, SegmentStore, is_ours
from indexer.vectors.vector_store import VectorStore

_LOOKS = 5

_SLOW = "until you repair it with twinlens check --repair, each search rebuilds it, which is slow"
_ANEW = "twinlens check --repair removes them, and the next twinlens index embeds them again"
_HALF_ULP = 0.002  # what rounding to float16 may add to a norm


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        path: the file.
        fault: what is wrong with it.
        remedy: what to do about it.
        grave: whether a search or the next index run may go wrong for it.
    """

    path: Path
    fault: str
    remedy: str
    grave: bool = True


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What a repair did.

    Attributes:
        mended: what was wrong and is no longer.
        left: what is still wrong.
        dropped: files whose vectors were lost; the next index run embeds them anew.
    """

    mended: tuple[Finding, ...]
    left: tuple[Finding, ...]
    dropped: int


@dataclass(frozen=True, kw_only=True)
class _Vectors:
    """What the segments of one kind really hold: their ids, shape (n,), and those that are lost."""

    snapshot: VectorSnapshot
    lost: tuple[tuple[SegmentRow, str], ...]
    ids: Ids


def check(folder: Path) -> list[Finding]:
    """Check every file of a library, and return the findings. Changes nothing, locks nothing.

    Raises:
        LibraryMissing: there is no library.
        LibraryTooNew: a newer version wrote it.
        LibraryDamaged: the catalog is gone; nothing can be said of the rest.
    """
    broken = _broken_catalog(folder)
    if broken:
        return broken
    findings: list[Finding] = []
    with Library.open(folder) as library:
        for _ in range(_LOOKS):
            generation = library.catalog.facts().generation
            findings = list(_examine(folder, library.catalog))
            if not findings or generation == library.catalog.facts().generation:
                break  # else a writer may have merged segments away meanwhile: look again
    return findings


def repair(folder: Path, *, patience: LockTimeout | None = None) -> Repair:
    """Mend what can be mended.

    A broken catalog is written anew from the rows that can still be read; a saved index from the
    segments. Files whose vectors are lost leave the catalog.

    Raises:
        LibraryDamaged: the catalog is beyond mending.
        LibraryLocked: another process is writing.
    """
    before, dropped = _broken_catalog(folder), 0
    if before:
        with holding_lock(lock_of(folder), folder, patience):
            dropped += rescue(folder)
    before += check(folder)
    with Library.open(folder) as library, library.writing(patience):
        for kind in Kind:
            dropped += _mend(library, kind)
        library.mend()
    left = check(folder)
    mended = [finding for finding in dict.fromkeys(before) if finding not in left]
    return Repair(mended=tuple(mended), left=tuple(left), dropped=dropped)


def _broken_catalog(folder: Path) -> list[Finding]:
    """Look whether the rows of the catalog can be read and believed; one finding if not."""
    try:
        with Library.open(folder) as library:
            faults = library.catalog.faults()
            fault = f"is broken ({'; '.join(faults[:3])})" if faults else ""
    except LibraryTooNew:
        raise
    except LibraryDamaged as error:
        if not catalog_path(folder).exists():
            raise
        fault = error.fault
    remedy = f"twinlens check --repair saves what can be read; the old file stays as {BROKEN}"
    return [Finding(path=catalog_path(folder), fault=fault, remedy=remedy)] if fault else []


def _examine(folder: Path, catalog: CatalogWriter) -> Iterator[Finding]:
    """Look at all that a whole catalog names."""
    store = SegmentStore(folder / "vectors", catalog.facts().width)
    for kind in Kind:
        vectors = _survey(store, catalog, kind)
        yield from _lost_segments(store, vectors)
        yield from _unlike(folder, catalog, kind, vectors)
        yield from _saved_index(folder, catalog, kind, vectors)
    yield from _banks(folder, catalog)
    yield from _cohorts(folder, catalog)
    yield from _tokens(folder, catalog)
    yield from _orphans(folder, catalog, store)
    yield from _unfinished(folder)


def _survey(store: SegmentStore, catalog: CatalogWriter, kind: Kind) -> _Vectors:
    """Read every segment of a kind."""
    snapshot = catalog.snapshot(kind)
    dim = catalog.facts().dim
    lost, ids = [], np.empty(0, dtype=np.int64)
    for row in snapshot.segments:
        try:
            segment = store.read(row)
            fault = _fault(segment, dim, ids)
        except LibraryDamaged as error:
            fault = error.fault
        if fault:
            lost.append((row, fault))
        else:
            ids = np.concatenate([ids, segment.ids])
    return _Vectors(snapshot=snapshot, lost=tuple(lost), ids=ids)


def _fault(segment: Segment, dim: int, others: Ids) -> str:
    """Say what is wrong with the content of a segment, "" for nothing."""
    vectors = segment.vectors.astype(np.float32)
    if not np.isfinite(vectors).all():
        return "holds vectors that are not finite"
    off = np.abs(np.linalg.norm(vectors[:, :dim], axis=1) - 1.0)
    if len(off) and off.max() > UNIT_TOLERANCE + _HALF_ULP:
        return "holds vectors that are not of unit length"
    if (np.diff(segment.ids) <= 0).any() or np.isin(segment.ids, others).any():
        return "holds an id twice"
    return ""


def _lost_segments(store: SegmentStore, vectors: _Vectors) -> Iterator[Finding]:
    """Name the segments that cannot be trusted."""
    for row, fault in vectors.lost:
        what = f"{fault}: {row.rows:,} {row.kind}s have no vectors"
        yield Finding(path=store.path(row.number), fault=what, remedy=_ANEW)


def _unlike(
    folder: Path, catalog: CatalogWriter, kind: Kind, vectors: _Vectors
) -> Iterator[Finding]:
    """Compare the items of the catalog with the ids of the segments."""
    if vectors.lost:
        return  # they account for it
    items, deleted = catalog.item_ids(kind), vectors.snapshot.deleted
    if not np.array_equal(np.union1d(items, deleted), np.sort(vectors.ids)):
        count = len(np.setxor1d(np.union1d(items, deleted), vectors.ids))
        fault = f"and the segments differ in {count:,} {kind}s"
        yield Finding(path=catalog_path(folder), fault=fault, remedy=_ANEW)


def _saved_index(
    folder: Path, catalog: CatalogWriter, kind: Kind, vectors: _Vectors
) -> Iterator[Finding]:
    """Compare the saved index with the segments that it was made of."""
    base = vectors.snapshot.base
    rows = [row for row in vectors.snapshot.segments if row.number <= base]
    if not rows or any(row.number <= base for row, _ in vectors.lost):
        return
    shelf = _store(folder, catalog)
    path = shelf.indexes.path(kind, base)
    try:
        if shelf.indexes.is_whole(kind, vectors.snapshot, shelf.aim()):
            return
    except LibraryDamaged as error:
        fault = error.fault if path.exists() else "is missing"
        yield Finding(path=path, fault=fault, remedy=_SLOW, grave=False)
    else:
        fault = "does not match its segments"
        yield Finding(path=path, fault=fault, remedy=mending(folder))


def _banks(folder: Path, catalog: CatalogWriter) -> Iterator[Finding]:
    """Read the banks of generic vectors."""
    facts = catalog.facts()
    if facts.width == facts.dim:
        return
    path = folder / facts.banks
    try:
        read_banks(path, photos=facts.photo_bank, texts=facts.text_bank, dim=facts.dim)
    except LibraryDamaged as error:
        yield Finding(path=path, fault=error.fault, remedy=error.remedy)


def _cohorts(folder: Path, catalog: CatalogWriter) -> Iterator[Finding]:
    """Compare the cohorts that a writer kept with the banks that they are made of."""
    normalizer = ScoreNormalizer(folder, catalog, _store(folder, catalog), catalog.facts())
    fault = normalizer.cohort_fault()
    if fault:
        remedy = "the next index run rebuilds it; until then, each search does"
        yield Finding(path=folder / COHORTS, fault=fault, remedy=remedy, grave=False)


def _tokens(folder: Path, catalog: CatalogWriter) -> Iterator[Finding]:
    """Compare the kept image tokens with their checksums."""
    fault = PatchTokenCache(folder).fault(catalog.item_ids(Kind.PHOTO).tolist())
    if fault:
        remedy = "they are computed again from the photos when they are needed"
        yield Finding(path=folder / TOKENS, fault=fault, remedy=remedy, grave=False)


def _orphans(folder: Path, catalog: CatalogWriter, store: SegmentStore) -> Iterator[Finding]:
    """Name the files that no commit names: a killed writer's."""
    shelf = _store(folder, catalog)
    named = {store.path(number) for number in catalog.segment_numbers()}
    named.add(folder / catalog.facts().banks)
    named |= {shelf.indexes.path(kind, catalog.snapshot(kind).base) for kind in Kind}
    for path in sorted(chain.from_iterable(map(folder.glob, ("vectors/*", "ann/*", "banks*")))):
        if path not in named and is_ours(path):
            remedy = "the next index run deletes it"
            fault = "is left over from a run that was stopped, or is being written now"
            yield Finding(path=path, fault=fault, remedy=remedy, grave=False)


def _unfinished(folder: Path) -> Iterator[Finding]:
    """Look at the unfinished set of another model, if there is one."""
    if not (folder / NEXT).exists():
        return
    fault = "is an unfinished reindex with another model"
    remedy = "twinlens reindex continues it; delete it if you do not want that"
    if not is_sound(folder / NEXT):
        fault, remedy = f"{fault}, and broken", "twinlens reindex starts it again"
    yield Finding(path=folder / NEXT, fault=fault, remedy=remedy, grave=False)


def is_sound(folder: Path) -> bool:
    """Tell whether there is a library without a grave fault."""
    try:
        return not any(finding.grave for finding in check(folder))
    except (LibraryMissing, LibraryDamaged):
        return False


def _mend(library: Library, kind: Kind) -> int:
    """Drop what has no vectors, and save the index of a kind anew where it is not right."""
    folder, catalog = library.folder, library.catalog
    store = SegmentStore(folder / "vectors", catalog.facts().width)
    vectors = _survey(store, catalog, kind)
    dropped = 0
    if vectors.lost or any(_unlike(folder, catalog, kind, vectors)):
        lost = [row.number for row, _ in vectors.lost]
        dropped = catalog.keep_only(kind, vectors.ids, without=lost)
        vectors = _survey(store, catalog, kind)
    is_saved = vectors.snapshot.base and not any(_saved_index(folder, catalog, kind, vectors))
    if vectors.snapshot.segments and not is_saved:
        _store(folder, catalog).rebuild(kind, library.normalizer.questions)
    return dropped


def _store(folder: Path, catalog: CatalogWriter) -> VectorStore:
    """Open the vectors of a library through the catalog that is looked at."""
    return VectorStore(folder, catalog, lambda: catalog, catalog.facts())

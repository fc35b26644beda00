"""A library: photos and texts that were embedded, found again by vector."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from types import TracebackType

import numpy as np
from filelock import FileLock, Timeout

from indexer.catalog import Catalog, Change, FileState, Merge, Move, NewFile, Snapshot
from indexer.encoder import Encoder, Vectors
from indexer.errors import (
    LibraryDamaged,
    LibraryLocked,
    LibraryMissing,
    ModelMismatch,
    TwinlensError,
    UsageError,
)
from indexer.segments import MERGED_ROWS, Segment, SegmentStore, replacing
from indexer.types import Candidate, Kind, Record, SegmentRow
from indexer.vectors import Ids, VectorIndex

STALE_SHARE = 0.1
"""The saved index is written anew once it lacks this share; deleted vectors go at this share."""

MAX_TAIL = 8
"""So many segments may be newer than the saved index: each costs the first search a file."""


_NONE: Ids = np.empty(0, dtype=np.int64)
_UNFINISHED = ("lock", "catalog.sqlite.part", "catalog.sqlite.part-wal", "catalog.sqlite.part-shm")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file to add, embedded.

    Attributes:
        state: the file as it was read.
        texts: one an item: the passages of a text, "" for a photo, nothing for a broken file.
        vectors: one an item. Shape (texts, dim).
    """

    state: FileState
    texts: tuple[str, ...]
    vectors: Vectors


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one commit changes. `removed` are file ids, `roots` the folders that were indexed."""

    entries: Sequence[Entry] = ()
    moves: Sequence[Move] = ()
    removed: Sequence[int] = ()
    roots: Sequence[Path] = ()


@dataclass(frozen=True, kw_only=True)
class LibraryInfo:
    """What a library holds.

    Attributes:
        photos: how many.
        texts: how many passages.
        skipped: files that could not be read, whole or in part.
        folders: that were indexed.
        model: the name of the encoder.
        fingerprint: of the encoder.
        dim: length of every vector.
        format: of the files on disk.
        bytes: that they take.
    """

    photos: int
    texts: int
    skipped: int
    folders: tuple[Path, ...]
    model: str
    fingerprint: str
    dim: int
    format: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """The vectors of one kind in memory, as of one commit."""

    generation: int
    numbers: frozenset[int]
    index: VectorIndex
    deleted: Ids


class Library:
    """An open library. Any number may read one folder; one at a time writes.

    Make one with `open`, `create` or `open_or_create`, and close it, or use it as a context
    manager. Every search answers from the last commit, whoever made it.
    """

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self.folder = folder
        self.catalog = catalog
        meta = catalog.meta()
        self.model, self.fingerprint = meta["model"], meta["fingerprint"]
        self.dim = int(meta["dim"])
        self._format = int(meta["format"])
        self._segments = SegmentStore(folder / "vectors", self.dim)
        self._ann = folder / "ann"
        self._writer = _lock(folder)
        self._loaded: dict[Kind, _Loaded] = {}
        self._searching = threading.RLock()  # an index must not grow under a search

    @classmethod
    def open(cls, folder: Path) -> Library:
        """Open a library that exists.

        Raises:
            LibraryMissing: there is none.
            LibraryDamaged: its catalog is broken, or newer than this version.
        """
        path = _catalog_path(folder)
        if path.is_file():
            return cls(folder, Catalog.open(path))
        if (folder / "vectors").is_dir():
            raise LibraryDamaged(f"{path} is missing; delete '{folder}' and run: {_build(folder)}")
        raise LibraryMissing(f"no library at '{folder}'; build one with: {_build(folder)}")

    @classmethod
    def create(cls, folder: Path, encoder: Encoder) -> Library:
        """Make an empty library for the vectors of one encoder.

        Raises:
            UsageError: the folder holds a library, or other files.
            LibraryLocked: another process is making it.
        """
        _check_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with _held(_lock(folder), folder):
            _check_free(folder)
            with replacing(_catalog_path(folder)) as part:
                part.unlink(missing_ok=True)
                Catalog.create(part, _model_facts(encoder))
        return cls.open(folder)

    @classmethod
    def open_or_create(cls, folder: Path, encoder: Encoder) -> Library:
        """Open a library for an encoder; make it first where there is none.

        Raises:
            ModelMismatch: it was built with another encoder.
        """
        try:
            library = cls.open(folder)
        except LibraryMissing:
            return cls.create(folder, encoder)
        try:
            library.check_model(encoder)
        except ModelMismatch:
            library.close()
            raise
        return library

    def close(self) -> None:
        """Let go of the files."""
        self._loaded.clear()
        self.catalog.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def check_model(self, encoder: Encoder) -> None:
        """Refuse an encoder whose vectors lie in another space.

        Raises:
            ModelMismatch: tells both models, and what to do.
        """
        if encoder.fingerprint != self.fingerprint:
            raise ModelMismatch(
                f"the library '{self.folder}' was built with the model {self.model!r} "
                f"({self.fingerprint[:12]}), not {encoder.name!r} ({encoder.fingerprint[:12]}); "
                "name that model with --model, or another folder with --library"
            )

    # Search

    def search(
        self, queries: Vectors, kind: Kind, k: int, *, excluded: Ids | None = None
    ) -> list[list[Candidate]]:
        """Return for each query its `k` best items of a kind, or all there are if fewer.

        Best first; of equal scores, the lower id first.

        Args:
            queries: unit vectors of the library's model. Shape (queries, dim).
            kind: what to find.
            k: how many candidates a query gets.
            excluded: ids that are never answered. Shape (n,).

        Raises:
            LibraryDamaged: a segment is missing or broken.
        """
        with self._searching:
            loaded = self._load(kind)
            gone = loaded.deleted if excluded is None else np.union1d(loaded.deleted, excluded)
            return loaded.index.search(queries, k, excluded=gone)

    def fetch(self, ids: Sequence[int], kind: Kind) -> Vectors:
        """Return the vectors of items, as they were stored. Shape (ids, dim).

        Raises:
            KeyError: the library has no such item of that kind.
        """
        with self._searching:
            return self._load(kind).index.fetch(np.array(ids, dtype=np.int64))

    def records(self, ids: Sequence[int]) -> list[Record]:
        """Return the items of these ids in their order; an id that has left gives none."""
        return self.catalog.records(ids)

    def counts(self) -> dict[Kind, int]:
        """Count the items of each kind."""
        return {kind: self.catalog.count(kind) for kind in Kind}

    def info(self) -> LibraryInfo:
        """Say what the library holds."""
        counts = self.counts()
        return LibraryInfo(
            photos=counts[Kind.PHOTO],
            texts=counts[Kind.TEXT],
            skipped=self.catalog.count_skipped(),
            folders=tuple(self.catalog.roots()),
            model=self.model,
            fingerprint=self.fingerprint,
            dim=self.dim,
            format=self._format,
            bytes=sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()),
        )

    # Write

    @contextmanager
    def writing(self, *, wait_seconds: float = 0.0) -> Iterator[None]:
        """Be the one writer. Files that no commit names, left by a killed writer, are swept.

        Raises:
            LibraryLocked: another process is writing; tells which, and since when.
        """
        with _held(self._writer, self.folder, wait_seconds=wait_seconds, catalog=self.catalog):
            if self._writer.lock_counter == 1:
                self.catalog.note("writer", f"{os.getpid()} {time.time():.0f}")
                self._sweep()
            yield

    def commit(self, batch: Batch) -> None:
        """Store a batch: its vectors first, then one transaction that names them."""
        with self.writing():
            meta = self.catalog.meta()
            files = _numbered(batch.entries, int(meta["next_id"]))
            segments = self._segments.write(
                _embedded(files, batch.entries), int(meta["next_segment"])
            )
            change = Change(
                files=files,
                moves=batch.moves,
                removed=batch.removed,
                roots=batch.roots,
                segments=segments,
            )
            self.catalog.apply(change)

    def forget(self, folder: Path) -> int:
        """Remove all that lies below a folder, which need not exist any more; count the files."""
        with self.writing():
            known = self.catalog.files_below([folder])
            self.catalog.apply(Change(removed=list(known), forgotten=[folder]))
            return len(known)

    def refresh_index(self) -> None:
        """Merge small segments, drop deleted vectors and save the FAISS index, where that pays.

        The cost of an index run so grows with what changed, not with the library.
        """
        with self.writing():
            for kind in Kind:
                snapshot = self.catalog.snapshot(kind)
                tail = [row for row in snapshot.segments if row.number > snapshot.base]
                total, newer = _count(snapshot.segments), _count(tail)
                if len(snapshot.deleted) > STALE_SHARE * total:
                    self._merge(kind, snapshot.segments, base=0, purged=snapshot.deleted)
                    self._rebase(kind)
                elif newer > STALE_SHARE * (total - newer):
                    small = [row for row in snapshot.segments if row.rows < MERGED_ROWS]
                    self._merge(kind, small, base=0)
                    self._rebase(kind)
                elif len(tail) > MAX_TAIL:
                    self._merge(kind, tail, base=snapshot.base)
            self._sweep()

    def _merge(
        self, kind: Kind, rows: Sequence[SegmentRow], *, base: int, purged: Ids = _NONE
    ) -> None:
        """Write segments anew as fewer ones, without the vectors of the purged ids."""
        if len(rows) < 2 and not len(purged):
            return
        first = int(self.catalog.meta()["next_segment"])
        new = self._segments.write(self._segments.joined(rows, without=purged), first)
        old = [row.number for row in rows]
        self.catalog.merge(Merge(kind=kind, old=old, new=new, purged=purged, base=base))

    def _rebase(self, kind: Kind) -> None:
        """Save an index over all segments of a kind."""
        snapshot = self.catalog.snapshot(kind)
        index = VectorIndex(self.dim)
        for row in snapshot.segments:
            segment = self._segments.read(row)
            index.add(segment.ids, segment.vectors)
        number = max((row.number for row in snapshot.segments), default=0)
        self._ann.mkdir(exist_ok=True)
        with replacing(self._base_path(kind, number)) as part:
            index.save(part)
        self.catalog.rebase(kind, number)

    def _sweep(self) -> None:
        """Delete the files that no commit names: a killed writer's, and those merged away."""
        self._segments.sweep(self.catalog.segment_numbers())
        named = {self._base_path(kind, self.catalog.snapshot(kind).base) for kind in Kind}
        for path in self._ann.glob("*"):
            if path not in named:
                path.unlink(missing_ok=True)

    def _base_path(self, kind: Kind, number: int) -> Path:
        """Return where the saved index over the segments up to a number lies."""
        return self._ann / f"{kind}-{number:06d}.faiss"

    # What is in memory

    def _load(self, kind: Kind) -> _Loaded:
        """Return the vectors of a kind as of the last commit."""
        loaded = self._loaded.get(kind)
        if loaded is None or loaded.generation != self.catalog.generation():
            self._loaded.pop(kind, None)  # a failed load must not leave a half-grown index
            loaded = self._loaded[kind] = self._reload(kind, loaded)
        return loaded

    def _reload(self, kind: Kind, loaded: _Loaded | None) -> _Loaded:
        """Read the last commit; once more if a writer merged segments away meanwhile."""
        while True:
            snapshot = self.catalog.snapshot(kind)
            try:
                return self._read(kind, snapshot, loaded)
            except LibraryDamaged:
                if snapshot.generation == self.catalog.generation():
                    raise
                loaded = None

    def _read(self, kind: Kind, snapshot: Snapshot, loaded: _Loaded | None) -> _Loaded:
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
        return _Loaded(
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
        path = self._base_path(kind, snapshot.base)
        try:
            index = VectorIndex.load(path, dim=self.dim, size=_count(held))
        except LibraryDamaged:
            return VectorIndex(self.dim), frozenset()
        return index, frozenset(row.number for row in held)


def _count(rows: Iterable[SegmentRow]) -> int:
    """Count the vectors in segments."""
    return sum(row.rows for row in rows)


def _numbered(entries: Sequence[Entry], first: int) -> list[NewFile]:
    """Issue ids from `first` on, one a text."""
    edges = accumulate((len(entry.texts) for entry in entries), initial=first)
    return [
        NewFile(state=entry.state, texts=entry.texts, ids=range(start, stop))
        for entry, (start, stop) in zip(entries, pairwise(edges), strict=True)
    ]


def _embedded(files: Sequence[NewFile], entries: Sequence[Entry]) -> Iterator[Segment]:
    """Yield one segment for each kind that has vectors."""
    for kind in Kind:
        ids = [file.ids for file in files if file.state.kind == kind]
        vectors = [entry.vectors for entry in entries if entry.state.kind == kind]
        if any(ids):
            yield Segment(
                kind=kind,
                ids=np.concatenate([np.array(run, dtype=np.int64) for run in ids]),
                vectors=np.concatenate(vectors).astype(np.float16),
            )


def _catalog_path(folder: Path) -> Path:
    """Return where the catalog lies."""
    return folder / "catalog.sqlite"


def _model_facts(encoder: Encoder) -> dict[str, str]:
    """Return what a library remembers of its encoder."""
    return {"model": encoder.name, "fingerprint": encoder.fingerprint, "dim": str(encoder.dim)}


def _check_free(folder: Path) -> None:
    """Refuse to make a library where something else lies, a photo folder named by mistake."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"'{folder}' is a file; a library is a folder")
    others = [path.name for path in folder.glob("*") if path.name not in _UNFINISHED]
    if others:
        raise UsageError(f"'{folder}' is not empty; name a new or an empty folder with --library")


def _lock(folder: Path) -> FileLock:
    """Make the lock of a library; the system frees it when its holder dies."""
    return FileLock(folder / "lock")


@contextmanager
def _held(
    lock: FileLock, folder: Path, *, wait_seconds: float = 0.0, catalog: Catalog | None = None
) -> Iterator[None]:
    """Hold a lock, or say who does."""
    try:
        lock.acquire(timeout=wait_seconds)
    except Timeout as error:
        owner = _owner(catalog.meta().get("writer", "") if catalog else "")
        raise LibraryLocked(
            f"the library '{folder}' is being written by {owner}; try again when that is done"
        ) from error
    except OSError as error:
        raise TwinlensError(f"cannot write to '{folder}': {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def _owner(note: str) -> str:
    """Say who holds the lock, from the note it left: "PID SECONDS", seconds since 1970."""
    pid, _, since = note.partition(" ")
    if not since:
        return "another process"
    minutes, seconds = divmod(max(0, round(time.time() - float(since))), 60)
    age = f"{minutes} min" if minutes else f"{seconds} s"
    return f"process {pid} since {age} ago"


def _build(folder: Path) -> str:
    """Say how to build a library."""
    return f"twinlens index FOLDER --library {folder}"

"""A library: photos and texts that were embedded, found again by vector."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise, product
from pathlib import Path
from types import TracebackType

import numpy as np
from filelock import FileLock, Timeout

from indexer.banks import BANKS, Banks, banks_of, read_banks, write_banks
from indexer.catalog import Catalog, Change, Facts, FileState, Move, NewFile
from indexer.encoder import Encoder, Vectors
from indexer.errors import (
    LibraryDamaged,
    LibraryLocked,
    LibraryMissing,
    ModelMismatch,
    TwinlensError,
    UsageError,
    way_out,
)
from indexer.hubness import with_alpha, with_hubness
from indexer.moments import FEWEST_ITEMS, FEWEST_QUERIES, SAMPLE, Moments, measure
from indexer.segments import Segment, replacing
from indexer.shelf import Shelf
from indexer.types import Candidate, Kind, Record
from indexer.vectors import Ids

_UNFINISHED = (
    BANKS,
    BANKS + ".part",
    "catalog.sqlite.part",
    "catalog.sqlite.part-wal",
    "catalog.sqlite.part-shm",
)


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
        hubness: the kinds whose items are corrected for hubness; none in format 1.
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
    hubness: tuple[Kind, ...]
    format: int
    bytes: int


class Library:
    """An open library. Any number may read one folder; one at a time writes.

    Make one with `open`, `create` or `open_or_create`, and close it, or use it as a context
    manager. Every search answers from the last commit, whoever made it.
    """

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self.folder = folder
        self.catalog = catalog
        facts = catalog.facts()
        self.model, self.fingerprint, self.dim = facts.model, facts.fingerprint, facts.dim
        self._corrects = facts.width > facts.dim
        self._shelf = Shelf(folder, catalog)
        self._writer = _lock(folder)
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
            raise LibraryDamaged(f"{path} is missing; {way_out(folder)}")
        raise LibraryMissing(
            f"no library at '{folder}'; build one with: twinlens index FOLDER --library {folder}"
        )

    @classmethod
    def create(cls, folder: Path, encoder: Encoder) -> Library:
        """Make an empty library for the vectors of one encoder: banks first, the catalog last.

        Raises:
            UsageError: the folder holds a library, or other files.
            LibraryLocked: another process is making it.
        """
        _check_free(folder)
        banks = banks_of(encoder)
        folder.mkdir(parents=True, exist_ok=True)
        with _held(_lock(folder), folder):
            _check_free(folder)
            for name in _UNFINISHED:
                (folder / name).unlink(missing_ok=True)
            write_banks(folder, banks)
            with replacing(_catalog_path(folder)) as part:
                Catalog.create(part, _facts(encoder, banks))
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
        self,
        queries: Vectors,
        kind: Kind,
        k: int,
        *,
        excluded: Ids | None = None,
        alpha: float = 0.0,
    ) -> list[list[Candidate]]:
        """Return for each query its `k` best items of a kind, or all there are if fewer.

        Best first; of equal scores, the lower id first. A score is the cosine, less `alpha`
        times the hubness of the item. A library of format 1 knows no hubness: cosines alone.

        Args:
            queries: unit vectors of the library's model. Shape (queries, dim).
            kind: what to find.
            k: how many candidates a query gets.
            excluded: ids that are never answered. Shape (n,).
            alpha: share of an item's hubness that leaves its score; 0 for the plain cosine.

        Raises:
            LibraryDamaged: a segment is missing or broken.
        """
        with self._searching:
            loaded = self._shelf.load(kind)
            gone = loaded.deleted if excluded is None else np.union1d(loaded.deleted, excluded)
            asked = with_alpha(queries, alpha) if self._corrects else queries
            return loaded.index.search(asked, k, excluded=gone)

    def fetch(self, ids: Sequence[int], kind: Kind) -> Vectors:
        """Return the vectors of items, as they were stored. Shape (ids, dim).

        Raises:
            KeyError: the library has no such item of that kind.
        """
        with self._searching:
            rows = self._shelf.load(kind).index.fetch(np.array(ids, dtype=np.int64))
            return rows[:, : self.dim]

    def sample(self, kind: Kind, count: int, *, seed: int) -> Vectors:
        """Return the vectors of `count` items at random, of all if fewer. Shape (n, dim)."""
        return self._sample(kind, count, seed=seed)[:, : self.dim]

    def moments(self, query: Kind, item: Kind) -> Moments | None:
        """Return how high generic queries of a kind score the items of a kind in this library.

        As measured at the end of the last index run, or now if that never was. None where the
        library has no such generic queries, or too few items to tell.
        """
        noted = self.catalog.noted(_moments_key(query, item))
        return Moments.loads(noted) if noted else self._measure(query, item)

    def records(self, ids: Sequence[int]) -> list[Record]:
        """Return the items of these ids in their order; an id that has left gives none."""
        return self.catalog.records(ids)

    def counts(self) -> dict[Kind, int]:
        """Count the items of each kind."""
        return {kind: self.catalog.count(kind) for kind in Kind}

    def info(self) -> LibraryInfo:
        """Say what the library holds."""
        counts, facts = self.counts(), self.catalog.facts()
        banks = {Kind.PHOTO: facts.text_bank, Kind.TEXT: facts.photo_bank}
        return LibraryInfo(
            photos=counts[Kind.PHOTO],
            texts=counts[Kind.TEXT],
            skipped=self.catalog.count_skipped(),
            folders=tuple(self.catalog.roots()),
            model=self.model,
            fingerprint=self.fingerprint,
            dim=self.dim,
            hubness=tuple(kind for kind, bank in banks.items() if bank),
            format=facts.format,
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
                self._shelf.sweep()
            yield

    def commit(self, batch: Batch) -> None:
        """Store a batch: its vectors first, then one transaction that names them."""
        if not any((batch.entries, batch.moves, batch.removed, batch.roots)):
            return
        with self.writing():
            files = _numbered(batch.entries, self.catalog.facts().next_id)
            segments = self._shelf.write(self._embedded(files, batch.entries))
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
        root = folder.resolve()
        with self.writing():
            known = self.catalog.files_below([root])
            self.catalog.apply(Change(removed=list(known), forgotten=[root]))
            return len(known)

    def refresh_index(self) -> None:
        """Tidy up after a run of commits, where that pays: fewer segments, a saved index."""
        with self.writing():
            self._shelf.refresh()
            self._note_moments()

    def _note_moments(self) -> None:
        """Measure the moments anew where the library has changed much since."""
        for query, item in product(Kind, Kind):
            noted = self.catalog.noted(_moments_key(query, item))
            if noted and Moments.loads(noted).fits(self.catalog.count(item)):
                continue
            measured = self._measure(query, item)
            if measured is not None:
                self.catalog.note(_moments_key(query, item), measured.dumps())

    def _measure(self, query: Kind, item: Kind) -> Moments | None:
        """Measure moments, if the generic queries and the items are enough for it."""
        items = self.catalog.count(item)
        if items < FEWEST_ITEMS:
            return None
        generic = self._generic(query)
        if len(generic) < FEWEST_QUERIES:
            return None
        return measure(generic, self._sample(item, SAMPLE, seed=0), items=items)

    def _generic(self, kind: Kind) -> Vectors:
        """Return the bank of a kind; where there is none, the library's own items stand in."""
        try:
            bank = self._banks.of(kind)
        except LibraryDamaged:  # what is indexed can be searched all the same
            return np.empty((0, self.dim), dtype=np.float32)
        return bank if len(bank) else self.sample(kind, SAMPLE, seed=0)

    def _sample(self, kind: Kind, count: int, *, seed: int) -> Vectors:
        """Return rows of items at random as they are stored. Shape (n, dim) or (n, dim + 1)."""
        with self._searching:
            loaded = self._shelf.load(kind)
            ids = np.setdiff1d(loaded.index.ids, loaded.deleted)
            drawn = np.random.default_rng(seed).permutation(ids)[:count]
            return loaded.index.fetch(np.sort(drawn))

    def _embedded(self, files: Sequence[NewFile], entries: Sequence[Entry]) -> Iterator[Segment]:
        """Yield one segment for each kind that has vectors."""
        for kind in Kind:
            ids = [file.ids for file in files if file.state.kind == kind]
            vectors = [entry.vectors for entry in entries if entry.state.kind == kind]
            if any(ids):
                yield Segment(
                    kind=kind,
                    ids=np.concatenate([np.array(run, dtype=np.int64) for run in ids]),
                    vectors=self._rows(np.concatenate(vectors), kind).astype(np.float16),
                )

    def _rows(self, vectors: Vectors, kind: Kind) -> Vectors:
        """Return vectors as the format stores them. Shape (n, dim) or (n, dim + 1)."""
        if not self._corrects:
            return vectors
        return with_hubness(vectors, self._banks.facing(kind), self.catalog.facts().hubness_k)

    @cached_property
    def _banks(self) -> Banks:
        """The banks, read when something is added for the first time."""
        facts = self.catalog.facts()
        return read_banks(
            self.folder, photos=facts.photo_bank, texts=facts.text_bank, dim=facts.dim
        )


def _numbered(entries: Sequence[Entry], first: int) -> list[NewFile]:
    """Issue ids from `first` on, one a text."""
    edges = accumulate((len(entry.texts) for entry in entries), initial=first)
    return [
        NewFile(state=entry.state, texts=entry.texts, ids=range(start, stop))
        for entry, (start, stop) in zip(entries, pairwise(edges), strict=True)
    ]


def _moments_key(query: Kind, item: Kind) -> str:
    """Name the fact that holds the moments of a direction."""
    return f"moments_{query}_{item}"


def _catalog_path(folder: Path) -> Path:
    """Return where the catalog lies."""
    return folder / "catalog.sqlite"


def _facts(encoder: Encoder, banks: Banks) -> Facts:
    """Return what a new library remembers of its encoder."""
    return Facts(
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        dim=encoder.dim,
        hubness_k=encoder.hubness.k,
        photo_bank=len(banks.photos),
        text_bank=len(banks.texts),
    )


def _check_free(folder: Path) -> None:
    """Refuse to make a library where something else lies, a photo folder named by mistake."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"'{folder}' is a file; a library is a folder")
    if any(path.name not in ("lock", *_UNFINISHED) for path in folder.glob("*")):
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
        owner = _owner(catalog.facts().writer if catalog else "")
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

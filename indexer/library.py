"""A library: photos and texts that were embedded, found again by vector."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise, product
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from indexer.banks import Banks, banks_of, read_banks, write_banks
from indexer.changes import Change, FileState, Move, NewFile
from indexer.encoder import Encoder, Tokens, TokenShape, Vectors
from indexer.errors import (
    LibraryDamaged,
    LibraryLocked,
    LibraryMissing,
    ModelMismatch,
    TwinlensError,
    UsageError,
    way_out,
)
from indexer.facts import Facts
from indexer.hubness import with_alpha, with_hubness
from indexer.loaded import SavedIndex
from indexer.moments import FEWEST_ITEMS, FEWEST_QUERIES, SAMPLE, Moments, cohort_of, measure
from indexer.segments import Segment, replacing
from indexer.shelf import Shelf
from indexer.tokens import TokenStore
from indexer.tuning import TUNING_ALPHA, Aim, Asking, Ranks
from indexer.types import Candidate, Described, Kind, Metadata, Record
from indexer.vectors import Ids
from indexer.view import ALL, CatalogView
from indexer.wanted import Filter

if TYPE_CHECKING:
    from indexer.catalog import Catalog
    from indexer.selection import Selection

_QUESTIONS = 512  # of a kind, to tune an index: half of them choose, half report

_CREATION_SECONDS = 10.0  # another process that makes the same library is done in less

NEXT = "next"
"""Below a library: the set of another model that is being made; see `indexer.reindex`."""

_UNFINISHED = (
    Facts.banks,
    Facts.banks + ".part",
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
        tokens: of a photo, for a reranker. Shape (texts, tokens, width).
        times: of the frames of a video, in seconds; empty for all else.
        about: what a photo says about itself; None for a text or a broken file.
    """

    state: FileState
    texts: tuple[str, ...]
    vectors: Vectors
    tokens: Tokens | None = None
    times: tuple[float, ...] = ()
    about: Metadata | None = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one commit changes. `removed` are file ids, `roots` the folders that were indexed."""

    entries: Sequence[Entry] = ()
    moves: Sequence[Move] = ()
    removed: Sequence[int] = ()
    roots: Sequence[Path] = ()


def _nobody(message: str) -> None:
    """Tell nobody."""
    del message


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How a writer meets another one.

    Attributes:
        seconds: to wait for it; `math.inf` for as long as it takes.
        tell: called once with who is writing and since when, if there is something to wait for.
    """

    seconds: float = 0.0
    tell: Callable[[str], None] = _nobody


@dataclass(frozen=True, kw_only=True)
class LibraryInfo:
    """What a library holds.

    Attributes:
        photos: how many.
        videos: how many.
        frames: of these videos.
        texts: how many passages.
        skipped: files that could not be read, whole or in part.
        folders: that were indexed.
        model: the name of the encoder.
        fingerprint: of the encoder.
        dim: length of every vector.
        hubness: the kinds whose items are corrected for hubness.
        described: dates, positions and cameras of the photos, summed up.
        format: of the files on disk.
        bytes: that they take.
    """

    photos: int
    videos: int
    frames: int
    texts: int
    skipped: int
    folders: tuple[Path, ...]
    model: str
    fingerprint: str
    dim: int
    hubness: tuple[Kind, ...]
    described: Described
    format: int
    bytes: int


class Library:
    """An open library. Any number may read one folder; one at a time writes.

    Make one with `open`, `create` or `open_or_create`, and close it, or use it as a context
    manager. Every search answers from the last commit, whoever made it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.view = CatalogView(catalog_path(folder))
        facts = self.view.facts()
        self.model, self.fingerprint, self.dim = facts.model, facts.fingerprint, facts.dim
        self._corrects = facts.width > facts.dim
        self._cohorts: dict[Kind, Vectors] = {}
        self._shelf = Shelf(folder, self.view, lambda: self.catalog)
        self._tokens = TokenStore(folder)
        self._writer = lock_of(folder)
        self._selection: tuple[tuple[int, Kind, Filter], Selection] | None = None
        self._searching = threading.RLock()  # an index must not grow under a search

    @classmethod
    def open(cls, folder: str | Path) -> Library:
        """Open a library that exists.

        Raises:
            LibraryMissing: there is none.
            LibraryDamaged: its catalog is broken, or newer than this version.
        """
        folder = Path(folder)
        path = catalog_path(folder)
        if path.is_file():
            return cls(folder)
        if (folder / "vectors").is_dir():
            raise LibraryDamaged(path, "is missing", way_out(folder))
        raise LibraryMissing(
            f"no library at '{folder}'; build one with: twinlens index FOLDER --library {folder}"
        )

    @classmethod
    def create(cls, folder: str | Path, encoder: Encoder) -> Library:
        """Make an empty library for the vectors of one encoder: banks first, the catalog last.

        Raises:
            UsageError: the folder holds a library, or other files.
            LibraryLocked: another process is making it.
        """
        folder = Path(folder)
        _check_free(folder)
        banks = banks_of(encoder)
        folder.mkdir(parents=True, exist_ok=True)
        with held(lock_of(folder), folder, Patience(seconds=_CREATION_SECONDS)):
            _check_free(folder)
            for name in _UNFINISHED:
                (folder / name).unlink(missing_ok=True)
            write_banks(folder / Facts.banks, banks)
            with replacing(catalog_path(folder)) as part:
                _catalog().create(part, _facts(encoder, banks))
        return cls.open(folder)

    @classmethod
    def open_or_create(cls, folder: str | Path, encoder: Encoder) -> Library:
        """Open a library for an encoder; make it first where there is none.

        Raises:
            ModelMismatch: it was built with another encoder.
        """
        folder = Path(folder)
        try:
            library = cls.open(folder)
        except LibraryMissing:
            try:
                return cls.create(folder, encoder)
            except UsageError:
                if not catalog_path(folder).is_file():
                    raise
                library = cls.open(folder)  # another process has made it meanwhile
        try:
            library.check_model(encoder)
        except ModelMismatch:
            library.close()
            raise
        return library

    def close(self) -> None:
        """Let go of the files."""
        self.view.close()
        if "catalog" in vars(self):
            self.catalog.close()

    @cached_property
    def catalog(self) -> Catalog:
        """The whole catalog. A search by words or a photo does without; see `indexer.view`."""
        return _catalog()(catalog_path(self.folder))

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
                self.folder,
                f"was built with the model {self.model!r} ({self.fingerprint[:12]}), "
                f"not {encoder.name!r} ({encoder.fingerprint[:12]})",
                "name that model with --model, another folder with --library, or change the "
                "library's model with: twinlens reindex --model",
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
        where: Filter | None = None,
    ) -> list[list[Candidate]]:
        """Return for each query its `k` best items of a kind, or all there are if fewer.

        Best first; of equal scores, the lower id first. A score is the cosine, less `alpha`
        times the hubness of the item. A library that format 1 began knows no hubness: cosines
        alone. A filter goes first: `k` items come back whenever `k` match.

        Args:
            queries: unit vectors of the library's model. Shape (queries, dim).
            kind: what to find.
            k: how many candidates a query gets.
            excluded: ids that are never answered. Shape (n,).
            alpha: share of an item's hubness that leaves its score; 0 for the plain cosine.
            where: which items may be answered.

        Raises:
            LibraryDamaged: a segment is missing or broken.
            UsageError: a filter, and a library of a format before filters.
        """
        selection = None if where is None else self._selected(kind, where)
        only = None
        if selection is not None and selection.all_but:
            others = [] if excluded is None else [excluded]
            excluded = np.concatenate([selection.ids, *others])
        elif selection is not None:
            only = selection.ids
        with self._searching:
            loaded = self._shelf.load(kind)
            asked = self._asking(queries, alpha)
            return loaded.search(asked, k, excluded=excluded, only=only)

    def _selected(self, kind: Kind, where: Filter) -> Selection:
        """Return what a filter lets through; the last one is remembered for as long as it holds."""
        asked, last = (self.view.facts().generation, kind, where), self._selection
        if last is None or last[0] != asked:
            last = self._selection = (asked, self.catalog.selected(kind, where))
        return last[1]

    def score(
        self, query: Vectors, kind: Kind, ids: Sequence[int], *, alpha: float = 0.0
    ) -> NDArray[np.float32]:
        """Return the scores of some items for one query, as `search` has them. Shape (ids,).

        Raises:
            KeyError: the library has no such item of that kind.
        """
        asked = self._asking(query, alpha)  # (1, width)
        with self._searching:
            rows = self._shelf.load(kind).fetch(np.array(ids, dtype=np.int64))
        scores: NDArray[np.float32] = rows @ asked[0]
        return scores

    def fetch(self, ids: Sequence[int], kind: Kind) -> Vectors:
        """Return the vectors of items, as they were stored. Shape (ids, dim).

        Raises:
            KeyError: the library has no such item of that kind.
        """
        with self._searching:
            rows = self._shelf.load(kind).fetch(np.array(ids, dtype=np.int64))
            return rows[:, : self.dim]

    def tokens(self, ids: Sequence[int], shape: TokenShape) -> list[Tokens | None]:
        """Return each photo's tokens as a reranker reads them; None where none were kept.

        Shape (tokens, width) each.
        """
        return self._tokens.read(ids, shape)

    def keep_tokens(self, ids: Sequence[int], tokens: Tokens) -> None:
        """Keep the tokens of photos that are in the library. Shape (ids, tokens, width).

        Raises:
            LibraryLocked: another process is writing.
        """
        with held(self._writer, self.folder, view=self.view):
            self._tokens.write(ids, tokens)

    def sample(self, kind: Kind, count: int, *, seed: int) -> Vectors:
        """Return the vectors of `count` items at random, of all if fewer. Shape (n, dim)."""
        return self._sample(kind, count, seed=seed)[:, : self.dim]

    def moments(self, query: Kind, item: Kind) -> Moments | None:
        """Return how high generic queries of a kind score the items of a kind in this library.

        As measured at the end of the last index run, or now if that never was. None where the
        library has no such generic queries, or too few items to tell.
        """
        noted = self.view.noted(_moments_key(query, item))
        return Moments.loads(noted) if noted else self._measure(query, item)

    def score_cohort(self, query: Vectors, kind: Kind, *, alpha: float) -> NDArray[np.float32]:
        """Score generic items of a kind as if they were in here: what no question asks for.

        Args:
            query: one unit vector. Shape (1, dim).
            kind: of the items.
            alpha: share of the hubness that leaves each score.

        Returns:
            Shape (n,); n is 0 where the library has no such bank, or it cannot be read.
        """
        scores: NDArray[np.float32] = self._cohort(kind) @ self._asking(query, alpha)[0]
        return scores

    def records(self, ids: Sequence[int]) -> list[Record]:
        """Return the items of these ids in their order; an id that has left gives none."""
        return self.view.records(ids)

    def worded(
        self,
        text: str,
        kind: Kind,
        limit: int,
        *,
        where: Filter | None = None,
        every: bool = False,
    ) -> list[tuple[int, float]]:
        """Return ids and word scores of the items of a kind that share words, best first.

        With `every`, only items that have all the words.

        Raises:
            UsageError: a filter, and a library of a format before filters.
        """
        among = ALL if where is None else self.catalog.condition(where)
        return self.view.worded(text, kind, limit, among=among, every=every)

    def counts(self) -> dict[Kind, int]:
        """Count the items of each kind."""
        return {kind: self.view.count(kind) for kind in Kind}

    def info(self) -> LibraryInfo:
        """Say what the library holds."""
        counts, facts = self.counts(), self.view.facts()
        banks = {Kind.PHOTO: facts.text_bank, Kind.TEXT: facts.photo_bank}
        frames, videos = self.catalog.count_frames()
        return LibraryInfo(
            photos=counts[Kind.PHOTO] - frames,
            videos=videos,
            frames=frames,
            texts=counts[Kind.TEXT],
            skipped=self.catalog.count_skipped(),
            folders=tuple(self.catalog.roots()),
            model=self.model,
            fingerprint=self.fingerprint,
            dim=self.dim,
            hubness=tuple(kind for kind, bank in banks.items() if bank),
            described=self.catalog.described(),
            format=facts.format,
            bytes=sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()),
        )

    # Write

    @contextmanager
    def writing(self, patience: Patience | None = None) -> Iterator[None]:
        """Be the one writer. Files that no commit names, left by a killed writer, are swept.

        Raises:
            LibraryLocked: another process is writing; tells which, and since when.
        """
        with held(self._writer, self.folder, patience, self.view):
            if self._writer.lock_counter == 1:
                self.catalog.migrate()
                self.catalog.note("writer", f"{os.getpid()} {time.time():.0f}")
                self._sweep()
            yield

    def commit(self, batch: Batch) -> None:
        """Store a batch: its vectors first, then one transaction that names them."""
        if not any((batch.entries, batch.moves, batch.removed, batch.roots)):
            return
        with self.writing():
            files = _numbered(batch.entries, self.view.facts().next_id)
            self._keep_tokens(files, batch.entries)
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

    def move_root(self, old: Path, new: Path) -> list[Path]:
        """Know all that lies below a folder by its path below another: a moved drive.

        Every file keeps its vector. Returns the new paths.

        Raises:
            UsageError: nothing of the old folder is known, nothing of it lies in the new one, or
                a file there is known already.
        """
        old, new = old.resolve(), new.resolve()
        with self.writing():
            known = self.catalog.paths(self.catalog.files_below([old])).values()
            if not known:
                folders = ", ".join(map(str, self.catalog.roots())) or "none"
                raise UsageError(
                    f"the library holds nothing of '{old}'; the folders it holds: {folders}"
                )
            if not any((new / path.relative_to(old)).exists() for path in known):
                raise UsageError(
                    f"none of the {len(known):,} files of '{old}' lies below '{new}'; "
                    "name the folder that took its place"
                )
            return self.catalog.move_root(old, new)

    def adopt(self, other: Library, patience: Patience | None = None) -> None:
        """Hold what another library holds, model and all, by one commit; open it anew after that.

        The vectors are written again, under ids and numbers that this library never gave out.
        """
        with self.writing(patience):
            mine, theirs = self.view.facts(), other.catalog.facts()
            shift = mine.next_id - 1
            segments = self._shelf.write(other.segments(shift))
            self._tokens.copy(other._tokens, shift)
            facts = replace(
                theirs,
                next_id=theirs.next_id + shift,
                next_segment=mine.next_segment + len(segments),
                generation=mine.generation,
                writer=mine.writer,
                banks=f"banks-{mine.generation:06d}.safetensors",
            )
            if facts.width > facts.dim:
                write_banks(self.folder / facts.banks, other.banks)
            files = [
                replace(file, ids=range(file.ids.start + shift, file.ids.stop + shift))
                for file in other.catalog.holdings()
            ]
            self.catalog.become(facts, Change(files=files, segments=segments))
            self._sweep()

    def segments(self, shift: int) -> Iterator[Segment]:
        """Yield all vectors of items, under ids that are higher by `shift`."""
        for kind in Kind:
            for segment in self._shelf.segments(kind):
                yield replace(segment, ids=segment.ids + shift)

    def refresh_index(self) -> None:
        """Tidy up after a run of commits, where that pays: fewer segments, a saved index."""
        with self.writing():
            self._shelf.refresh(self.questions)
            self._note_moments()

    @property
    def aim(self) -> Aim:
        """What the indexes have to reach."""
        return self._shelf.aim()

    def tune(self, aim: Aim) -> None:
        """Make the saved indexes reach an aim, now and whenever they are written."""
        with self.writing():
            self._shelf.set_aim(aim)
            for kind in Kind:
                self._shelf.tune(kind, self.questions)

    def saved_index(self, kind: Kind) -> SavedIndex:
        """Return the saved index of a kind; what came later is not in it."""
        return self._shelf.load(kind).base

    def ranks(self, kind: Kind, asking: Mapping[Kind, Asking]) -> dict[Kind, Ranks]:
        """Return what decides the recall of the index of a kind; see `indexer.tuning`."""
        return self._shelf.ranks(kind, asking)

    def questions(self, item: Kind) -> dict[Kind, Asking]:
        """Return queries by their kind that look for the items of a kind, to tune their index.

        Generic ones of the other kind, as the banks have them; of the same kind, items that are
        asked for what is near them.
        """
        other = Kind.TEXT if item == Kind.PHOTO else Kind.PHOTO
        generic = np.random.default_rng(0).permutation(self._generic(other))[:_QUESTIONS]
        nobody = np.full(len(generic), -1, dtype=np.int64)
        own, items = self._drawn(item, _QUESTIONS, seed=1)
        return {
            other: Asking(vectors=self._asking(generic, TUNING_ALPHA), own=nobody),
            item: Asking(vectors=self._asking(items[:, : self.dim], 0.0), own=own),
        }

    def _asking(self, queries: Vectors, alpha: float) -> Vectors:
        """Return queries as they ask: with alpha, where hubness is known. Shape (n, width)."""
        return with_alpha(queries, alpha) if self._corrects else queries

    def _note_moments(self) -> None:
        """Measure the moments anew where the library has changed much since."""
        for query, item in product(Kind, Kind):
            noted = self.view.noted(_moments_key(query, item))
            if noted and Moments.loads(noted).fits(self.view.count(item)):
                continue
            measured = self._measure(query, item)
            if measured is not None:
                self.catalog.note(_moments_key(query, item), measured.dumps())

    def _measure(self, query: Kind, item: Kind) -> Moments | None:
        """Measure moments, if the generic queries and the items are enough for it."""
        items = self.view.count(item)
        if items < FEWEST_ITEMS:
            return None
        generic = self._generic(query)
        if len(generic) < FEWEST_QUERIES:
            return None
        return measure(generic, self._sample(item, SAMPLE, seed=0), items=items)

    def _generic(self, kind: Kind) -> Vectors:
        """Return the bank of a kind; where there is none, the library's own items stand in."""
        try:
            bank = self.banks.of(kind)
        except LibraryDamaged:  # what is indexed can be searched all the same
            return np.empty((0, self.dim), dtype=np.float32)
        return bank if len(bank) else self.sample(kind, SAMPLE, seed=0)

    def _sample(self, kind: Kind, count: int, *, seed: int) -> Vectors:
        """Return rows of items at random as they are stored. Shape (n, dim) or (n, dim + 1)."""
        return self._drawn(kind, count, seed=seed)[1]

    def _drawn(self, kind: Kind, count: int, *, seed: int) -> tuple[Ids, Vectors]:
        """Return ids of items at random, and their rows. Shapes (n,) and (n, width)."""
        rows, deleted = self._shelf.rows(kind)
        ids = np.setdiff1d(rows.ids, deleted)
        drawn = np.sort(np.random.default_rng(seed).permutation(ids)[:count])
        return drawn, rows.fetch(drawn)

    def _sweep(self) -> None:
        """Delete the files that no commit names."""
        self._shelf.sweep()
        for path in self.folder.glob("banks*"):
            if path.name != self.view.facts().banks:
                path.unlink(missing_ok=True)

    def _embedded(self, files: Sequence[NewFile], entries: Sequence[Entry]) -> Iterator[Segment]:
        """Yield one segment for each kind that has vectors."""
        for kind in Kind:
            ids = [file.ids for file in files if file.state.kind == kind]
            vectors = [entry.vectors for entry in entries if entry.state.kind == kind]
            if any(ids):
                yield Segment(
                    kind=kind,
                    ids=np.concatenate([np.array(run, dtype=np.int64) for run in ids]),
                    vectors=self.stored(np.concatenate(vectors), kind).astype(np.float16),
                )

    def _keep_tokens(self, files: Sequence[NewFile], entries: Sequence[Entry]) -> None:
        """Keep what rerankers read of the photos, under the ids that these are about to get."""
        pairs = zip(files, entries, strict=True)
        kept = [(file.ids, entry.tokens) for file, entry in pairs if entry.tokens is not None]
        if kept:
            ids = [number for run, _ in kept for number in run]
            self._tokens.write(ids, np.concatenate([tokens for _, tokens in kept]))

    def stored(self, vectors: Vectors, kind: Kind) -> Vectors:
        """Return vectors as the format stores them. Shape (n, dim) or (n, dim + 1)."""
        if not self._corrects:
            return vectors
        return with_hubness(vectors, self.banks.facing(kind), self.view.facts().hubness_k)

    def _cohort(self, kind: Kind) -> Vectors:
        """Return some generic items of a kind, as they would be stored here. Shape (n, width)."""
        if kind not in self._cohorts:
            try:
                some = self.stored(cohort_of(self.banks.of(kind)), kind)
            except LibraryDamaged:  # what is indexed can be searched all the same
                some = np.empty((0, self.view.facts().width), dtype=np.float32)
            self._cohorts[kind] = some
        return self._cohorts[kind]

    @cached_property
    def banks(self) -> Banks:
        """The banks, read when they are first needed."""
        facts = self.view.facts()
        path = self.folder / facts.banks
        return read_banks(path, photos=facts.photo_bank, texts=facts.text_bank, dim=facts.dim)


def _numbered(entries: Sequence[Entry], first: int) -> list[NewFile]:
    """Issue ids from `first` on, one a text."""
    edges = accumulate((len(entry.texts) for entry in entries), initial=first)
    return [
        NewFile(
            state=entry.state,
            texts=entry.texts,
            ids=range(start, stop),
            times=entry.times,
            about=entry.about,
        )
        for entry, (start, stop) in zip(entries, pairwise(edges), strict=True)
    ]


def _moments_key(query: Kind, item: Kind) -> str:
    """Name the fact that holds the moments of a direction."""
    return f"moments_{query}_{item}"


def catalog_path(folder: Path) -> Path:
    """Return where the catalog lies."""
    return folder / "catalog.sqlite"


def _catalog() -> type[Catalog]:
    """Import the whole catalog, and SQLAlchemy with it, only where it is needed."""
    from indexer.catalog import Catalog

    return Catalog


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


def lock_of(folder: Path) -> FileLock:
    """Make the lock of a library; the system frees it when its holder dies."""
    return FileLock(folder / "lock")


@contextmanager
def held(
    lock: FileLock,
    folder: Path,
    patience: Patience | None = None,
    view: CatalogView | None = None,
) -> Iterator[None]:
    """Hold a lock; while another process does, say which, and wait as long as patience lasts."""
    patience = patience or Patience()
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            owner = _owner(view.facts().writer if view else "")
            busy = f"the library '{folder}' is being written by {owner}"
            if patience.seconds:
                patience.tell(f"{busy}; waiting until that is done")
            lock.acquire(timeout=patience.seconds)
    except Timeout as error:
        raise LibraryLocked(f"{busy}; try again when that is done") from error
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

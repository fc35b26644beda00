"""A library: photos and texts that were embedded, found again by vector."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.calibration.reference_set import ReferenceSet, banks_of, write_banks
from indexer.calibration.score_normalizer import ScoreNormalizer
from indexer.calibration.score_stats import ScoreStats
from indexer.catalog.changes import NewFile, Transaction
from indexer.catalog.reader import BROKEN, CatalogReader, catalog_path
from indexer.core.encoder import Encoder, Tokens, TokenShape, Vectors
from indexer.core.errors import (
    LibraryDamaged,
    LibraryMissing,
    ModelMismatch,
    UsageError,
    mending,
    way_out,
)
from indexer.core.filters import Filter
from indexer.core.permissions import close_to_others
from indexer.core.types import Candidate, Kind, LibraryInfo, Record
from indexer.library.batch import BatchEntry, IndexBatch, numbered
from indexer.library.lock import LockTimeout, held, lock_of
from indexer.library.skipped_files import SKIPPED, SkippedFiles
from indexer.vectors.composite_index import SavedIndex
from indexer.vectors.flat_index import Ids
from indexer.vectors.nprobe_tuning import Ranks, RecallTarget, TuningQueries
from indexer.vectors.patch_tokens import PatchTokenCache
from indexer.vectors.segments import Segment, is_ours
from indexer.vectors.vector_store import VectorStore

if TYPE_CHECKING:
    from indexer.catalog.filter_ids import IdSet
    from indexer.catalog.writer import CatalogWriter

SEEN = 512
"""Items of a search that are scored to learn how a query sees the library."""

NEXT = "next"
"""Below a library: the set of another model that is being made; see `indexer.ingest.reindex`."""


class Library:
    """An open library. Any number may read one folder; one at a time writes.

    Make one with `open`, `create` or `open_or_create`, and close it, or use it as a context
    manager. Every search answers from the last commit, whoever made it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.view = CatalogReader(catalog_path(folder))
        facts = self.view.facts()
        self.model, self.fingerprint, self.dim = facts.model, facts.fingerprint, facts.dim
        self._shelf = VectorStore(folder, self.view, lambda: self.catalog)
        self._yardstick = ScoreNormalizer(folder, self.view, self._shelf)
        self._tokens = PatchTokenCache(folder)
        self._writer = lock_of(folder)
        self._selection: tuple[tuple[int, Kind, Filter], IdSet] | None = None
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
        from indexer.library.create import create  # and SQLAlchemy

        create(Path(folder), encoder)
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
    def catalog(self) -> CatalogWriter:
        """The catalog for writing. A search reads through `view` alone."""
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
            asked = self._yardstick.asking(queries, alpha)
            return loaded.search(asked, k, excluded=excluded, only=only)

    def _selected(self, kind: Kind, where: Filter) -> IdSet:
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
        asked = self._yardstick.asking(query, alpha)  # (1, width)
        scores: NDArray[np.float32] = self._fetched(ids, kind) @ asked[0]
        return scores

    def fetch(self, ids: Sequence[int], kind: Kind) -> Vectors:
        """Return the vectors of items, as they were stored. Shape (ids, dim).

        Raises:
            KeyError: the library has no such item of that kind.
        """
        return self._fetched(ids, kind)[:, : self.dim]

    def _fetched(self, ids: Sequence[int], kind: Kind) -> Vectors:
        """Return the rows of items as they are stored. Shape (ids, width)."""
        wanted = np.array(ids, dtype=np.int64)
        with self._searching:
            try:
                return self._shelf.load(kind).fetch(wanted)
            except KeyError as error:
                if not np.isin(wanted, self.catalog.item_ids(kind)).all():
                    raise
                fault = f"do not hold the vectors of all {kind}s"
                raise LibraryDamaged(
                    self.folder / "vectors", fault, mending(self.folder)
                ) from error

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
            there = {record.id for record in self.records(ids)}  # a writer may have removed some
            kept = [row for row, id_ in enumerate(ids) if id_ in there]
            self._tokens.write([ids[row] for row in kept], tokens[kept])

    def sample(self, kind: Kind, count: int, *, seed: int) -> Vectors:
        """Return the vectors of `count` items at random, of all if fewer. Shape (n, dim)."""
        return self._yardstick.sample(kind, count, seed=seed)[:, : self.dim]

    def moments(self, query: Kind, item: Kind) -> ScoreStats | None:
        """Return how high generic queries of a kind score the items of a kind in this library.

        As measured at the end of the last index run, or now if that never was. None where the
        library has no such generic queries, or too few items to tell.
        """
        return self._yardstick.moments(query, item)

    def score_cohort(self, query: Vectors, kind: Kind, *, alpha: float) -> NDArray[np.float32]:
        """Score generic items of a kind as if they were in here: what no question asks for.

        Args:
            query: one unit vector. Shape (1, dim).
            kind: of the items.
            alpha: share of the hubness that leaves each score.

        Returns:
            Shape (n,); n is 0 where the library has no such bank, or it cannot be read.
        """
        asked = self._yardstick.asking(query, alpha)  # (1, width)
        scores: NDArray[np.float32] = self._yardstick.cohort(kind) @ asked[0]
        return scores

    def score_sample(
        self, query: Vectors, kind: Kind, *, alpha: float, where: Filter | None = None
    ) -> tuple[NDArray[np.float32], int]:
        """Score some of the items that a search looks through; count all of these.

        Args:
            query: one unit vector. Shape (1, dim).
            kind: of the items.
            alpha: share of the hubness that leaves each score.
            where: which items may be answered. Where these are too few to tell, the scores are of
                items of the whole library.

        Returns:
            The scores, shape (n,), n at most `SEEN`; and how many items pass the filter.
        """
        holds = None if where is None else self._selected(kind, where).holds
        with self._searching:
            rows, count = self._yardstick.among(kind, holds, SEEN)
        scores: NDArray[np.float32] = rows @ self._yardstick.asking(query, alpha)[0]
        return scores, count

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
        among = None if where is None else self._selected(kind, where).holds
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
    def writing(self, patience: LockTimeout | None = None) -> Iterator[None]:
        """Be the one writer. Files that no commit names, left by a killed writer, are swept.

        Raises:
            LibraryLocked: another process is writing; tells which, and since when.
        """
        with held(self._writer, self.folder, patience, self.view):
            if self._writer.lock_counter == 1:
                self._prepare()
            yield
            if self._writer.lock_counter == 1:
                self.catalog.tidy()

    def _prepare(self) -> None:
        """Bring the library to the format of today, and sweep what no commit names."""
        if self.catalog.migrate():
            close_to_others(self.folder)
        self._shelf.reseal()
        self.catalog.note("writer", f"{os.getpid()} {time.time():.0f}")
        self._sweep()

    def commit(self, batch: IndexBatch) -> None:
        """Store a batch: its vectors first, then one transaction that names them."""
        if not batch:
            return
        with self.writing():
            files = numbered(batch.entries, self.view.facts().next_id)
            self._keep_tokens(files, batch.entries)
            segments = self._shelf.write(self._embedded(files, batch.entries))
            change = Transaction(
                files=files,
                moves=batch.moves,
                removed=batch.removed,
                touches=batch.touches,
                missing=batch.missing,
                folders=batch.folders,
                roots=batch.roots,
                segments=segments,
            )
            self.catalog.apply(change)

    def forget(self, folder: Path) -> int:
        """Remove all that lies below a folder, which need not exist any more; count the files.

        Nothing of it, nor of what was removed before, stays in the files of the library.
        """
        root = folder.resolve()
        with self.writing():
            self._forget_unfinished(root)
            known = self.catalog.files_below([root])
            self.catalog.apply(Transaction(removed=list(known), forgotten=[root]))
            self._forget_skips(root)
            self.erase()
            for path in self.folder.glob(f"{BROKEN}*"):
                path.unlink(missing_ok=True)
            return len(known)

    def erase(self) -> None:
        """Take from the disk what was removed: vectors, tokens, words, rows of the catalog."""
        with self.writing():
            gone = [int(id_) for kind in Kind for id_ in self.view.snapshot(kind).deleted]
            self._tokens.forget(gone)
            self._shelf.purge(self.questions)
            self._tokens.keep_only(self.catalog.item_ids(Kind.PHOTO).tolist())
            self.catalog.rewrite()

    def restore_banks(self, encoder: Encoder) -> bool:
        """Make broken banks anew with the model of the library; tell whether they are whole now.

        Raises:
            ModelMismatch: it is another model.
            LibraryLocked: another process is writing.
        """
        self.check_model(encoder)
        try:
            return self.view.facts().width == self.dim or bool(self.banks)
        except LibraryDamaged:
            with self.writing():
                return self._yardstick.restore_banks(banks_of(encoder))

    def mend(self) -> None:
        """Make anew what is derived and broken, and take from the disk what was removed."""
        with self.writing():
            self._tokens.mend(self.catalog.item_ids(Kind.PHOTO).tolist())
            self._yardstick.mend()
            self._sweep()
            self.erase()

    def _forget_skips(self, root: Path) -> None:
        """Forget what was skipped below a folder."""
        noted = self.view.noted(SKIPPED)
        if noted:
            self.catalog.note(SKIPPED, SkippedFiles(noted).without(root))

    def _forget_unfinished(self, root: Path) -> None:
        """Remove what lies below a folder from an unfinished set of another model, too."""
        unfinished = self.folder / NEXT
        if not unfinished.exists():
            return
        try:
            with Library.open(unfinished) as fresh:
                fresh.forget(root)
        except (LibraryMissing, LibraryDamaged):
            remove(unfinished)

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
            self._forget_skips(old)
            return self.catalog.move_root(old, new)

    def adopt(self, other: Library, patience: LockTimeout | None = None) -> None:
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
            self.catalog.become(facts, Transaction(files=files, segments=segments))
            self._sweep()

    def segments(self, shift: int) -> Iterator[Segment]:
        """Yield all vectors of items, under ids that are higher by `shift`."""
        for kind in Kind:
            for segment in self._shelf.segments(kind):
                yield replace(segment, ids=segment.ids + shift)

    def refresh_index(self) -> None:
        """Tidy up after a run of commits, where that pays: fewer segments, a saved index."""
        with self.writing():
            stale = [self.view.snapshot(kind).deleted for kind in Kind if self._is_stale(kind)]
            for gone in stale:
                self._tokens.forget(gone.tolist())
            self._shelf.refresh(self.questions)
            if stale:
                self._tokens.keep_only(self.catalog.item_ids(Kind.PHOTO).tolist())
                self.catalog.forget_words()
            self._yardstick.refresh(self.catalog)

    def _is_stale(self, kind: Kind) -> bool:
        """Tell whether what was deleted of a kind is to be taken from the disk now."""
        return self._shelf.is_stale(self.view.snapshot(kind))

    @property
    def aim(self) -> RecallTarget:
        """What the indexes have to reach."""
        return self._shelf.aim()

    def tune(self, aim: RecallTarget) -> None:
        """Make the saved indexes reach an aim, now and whenever they are written."""
        with self.writing():
            self._shelf.set_aim(aim)
            for kind in Kind:
                self._shelf.tune(kind, self.questions)

    def saved_index(self, kind: Kind) -> SavedIndex:
        """Return the saved index of a kind; what came later is not in it."""
        return self._shelf.load(kind).base

    def ranks(self, kind: Kind, asking: Mapping[Kind, TuningQueries]) -> dict[Kind, Ranks]:
        """Return what decides the recall of the index of a kind."""
        return self._shelf.ranks(kind, asking)

    def questions(self, item: Kind) -> dict[Kind, TuningQueries]:
        """Return queries by their kind that look for the items of a kind, to tune their index."""
        return self._yardstick.questions(item)

    def _sweep(self) -> None:
        """Delete the files that no commit names."""
        self._shelf.sweep()
        for path in self.folder.glob("banks*"):
            if path.name != self.view.facts().banks and is_ours(path):
                path.unlink(missing_ok=True)

    def _embedded(
        self, files: Sequence[NewFile], entries: Sequence[BatchEntry]
    ) -> Iterator[Segment]:
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

    def _keep_tokens(self, files: Sequence[NewFile], entries: Sequence[BatchEntry]) -> None:
        """Keep what rerankers read of the photos, under the ids that these are about to get."""
        pairs = zip(files, entries, strict=True)
        kept = [(file.ids, entry.tokens) for file, entry in pairs if entry.tokens is not None]
        if kept:
            ids = [number for run, _ in kept for number in run]
            self._tokens.write(ids, np.concatenate([tokens for _, tokens in kept]))

    def stored(self, vectors: Vectors, kind: Kind) -> Vectors:
        """Return vectors as the format stores them. Shape (n, dim) or (n, dim + 1)."""
        return self._yardstick.stored(vectors, kind)

    @property
    def banks(self) -> ReferenceSet:
        """The generic vectors, read when they are first needed.

        Raises:
            LibraryDamaged: they cannot be.
        """
        return self._yardstick.banks


def _catalog() -> type[CatalogWriter]:
    """Import the whole catalog, and SQLAlchemy with it, only where it is needed."""
    from indexer.catalog.writer import CatalogWriter

    return CatalogWriter


def remove(path: Path) -> None:
    """Delete an unfinished set of another model, whatever lies at its path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

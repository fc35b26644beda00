"""The library: add embedded photos and texts, and find them by vector."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from indexer.calibration.reference_set import banks_of, write_banks
from indexer.catalog.changes import NewFile, Transaction
from indexer.catalog.reader import BROKEN, catalog_path
from indexer.core.encoder import Encoder, Tokens
from indexer.core.errors import (
    LibraryDamaged,
    LibraryMissing,
    ModelMismatch,
    UsageError,
)
from indexer.core.permissions import close_to_others
from indexer.core.types import Kind
from indexer.library.batch import BatchEntry, IndexBatch, numbered
from indexer.library.lock import LockTimeout, holding_lock, lock_of
from indexer.library.progress_note import delete_note
from indexer.library.reader import LibraryReader
from indexer.library.skipped_files import SKIPPED, SkippedFiles
from indexer.library.thumbnail_cache import ThumbnailCache
from indexer.vectors.nprobe_tuning import RecallTarget
from indexer.vectors.segments import Segment, is_ours

if TYPE_CHECKING:
    from filelock import FileLock

NEXT = "next"
"""Below a library: the set of another model that is being made; see `indexer.ingest.reindex`."""


class Library(LibraryReader):
    """An open library. Any number of processes may read one folder; one at a time writes.

    Make one with `open`, `create` or `open_or_create`, and close it, or use it as a context
    manager. Every search reads the last commit, whichever process made it.
    """

    @cached_property
    def _writer(self) -> FileLock:
        """The lock that the one writer holds."""
        return lock_of(self.folder)

    @classmethod
    def create(cls, folder: str | Path, encoder: Encoder) -> Self:
        """Make an empty library for the vectors of one encoder: banks first, the catalog last.

        Raises:
            UsageError: the folder holds a library, or other files.
            LibraryLocked: another process is making it.
        """
        from indexer.library.create import create  # and SQLAlchemy

        create(Path(folder), encoder)
        return cls.open(folder)

    @classmethod
    def open_or_create(cls, folder: str | Path, encoder: Encoder) -> Self:
        """Open a library for an encoder; create it if there is none.

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

    @contextmanager
    def writing(self, patience: LockTimeout | None = None) -> Iterator[None]:
        """Hold the writer's lock. Files left by a writer that was killed are deleted first.

        Raises:
            LibraryLocked: another process is writing; names it, and says since when.
        """
        with holding_lock(self._writer, self.folder, patience, self.view):
            if self._writer.lock_counter == 1:
                self._prepare()
            yield
            if self._writer.lock_counter == 1:
                self.catalog.tidy()

    def _prepare(self) -> None:
        """Bring the library to the format of today, and sweep what no commit names."""
        if self.catalog.migrate():
            close_to_others(self.folder)
        self.vectors.reseal()
        self.catalog.note("writer", f"{os.getpid()} {time.time():.0f}")
        delete_note(self.folder)
        self._sweep()

    def commit(self, batch: IndexBatch) -> None:
        """Store a batch: its vectors first, then one transaction that names them."""
        if not batch:
            return
        with self.writing():
            files = numbered(batch.entries, self.view.facts().next_id)
            self._keep_tokens(files, batch.entries)
            segments = self.vectors.write(self._embedded(files, batch.entries))
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

    def keep_tokens(self, ids: Sequence[int], tokens: Tokens) -> None:
        """Keep the tokens of photos that are in the library. Shape (ids, tokens, width).

        Raises:
            LibraryLocked: another process is writing.
        """
        with holding_lock(self._writer, self.folder, view=self.view):
            there = {record.id for record in self.records(ids)}  # a writer may have removed some
            kept = [row for row, id_ in enumerate(ids) if id_ in there]
            self.patch_tokens.write([ids[row] for row in kept], tokens[kept])

    def forget(self, folder: Path) -> int:
        """Remove all below a folder, which need not exist any more; return the number of files.

        The library's files are rewritten without it, and without everything that was removed
        before.
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
        """Delete from the disk what was removed: vectors, tokens, words, rows of the catalog."""
        with self.writing():
            gone = [int(id_) for kind in Kind for id_ in self.view.snapshot(kind).deleted]
            self.patch_tokens.forget(gone)
            self.vectors.purge(self.normalizer.questions)
            self.patch_tokens.keep_only(self.catalog.item_ids(Kind.PHOTO).tolist())
            self._keep_thumbnails()
            self.catalog.rewrite()

    def restore_banks(self, encoder: Encoder) -> bool:
        """Make broken banks anew with the model of the library; tell whether they are whole now.

        Raises:
            ModelMismatch: it is another model.
            LibraryLocked: another process is writing.
        """
        self.check_model(encoder)
        try:
            return self.view.facts().width == self.dim or bool(self.normalizer.banks)
        except LibraryDamaged:
            with self.writing():
                return self.normalizer.restore_banks(banks_of(encoder))

    def mend(self) -> None:
        """Rebuild broken derived files, and delete from the disk what was removed."""
        with self.writing():
            self.patch_tokens.mend(self.catalog.item_ids(Kind.PHOTO).tolist())
            self.normalizer.mend()
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
        """Change the paths below one folder to paths below another, for a drive that was moved.

        Every file keeps its vector. Returns the new paths.

        Raises:
            UsageError: the library has nothing below the old folder, none of its files is below the
                new one, or a file there is in the library already.
        """
        old, new = old.resolve(), new.resolve()
        with self.writing():
            known = self.catalog.paths(self.catalog.files_below([old])).values()
            if not known:
                folders = ", ".join(map(str, self.catalog.roots())) or "none"
                raise UsageError(
                    f"the library contains no files of '{old}'; its folders: {folders}"
                )
            if not any((new / path.relative_to(old)).exists() for path in known):
                raise UsageError(
                    f"none of the {len(known):,} files of '{old}' is below '{new}'; "
                    "name the folder that they were moved to"
                )
            self._forget_skips(old)
            return self.catalog.move_root(old, new)

    def adopt(self, other: Library, patience: LockTimeout | None = None) -> None:
        """Replace the content with that of another library, in one commit. Then open it again.

        The vectors are written again, under ids and numbers that this library never issued.
        """
        with self.writing(patience):
            mine, theirs = self.view.facts(), other.catalog.facts()
            shift = mine.next_id - 1
            segments = self.vectors.write(other.segments(shift))
            self.patch_tokens.copy(other.patch_tokens, shift)
            facts = replace(
                theirs,
                next_id=theirs.next_id + shift,
                next_segment=mine.next_segment + len(segments),
                generation=mine.generation,
                writer=mine.writer,
                banks=f"banks-{mine.generation:06d}.safetensors",
            )
            if facts.width > facts.dim:
                write_banks(self.folder / facts.banks, other.normalizer.banks)
            files = [
                replace(file, ids=range(file.ids.start + shift, file.ids.stop + shift))
                for file in other.catalog.holdings()
            ]
            self.catalog.become(facts, Transaction(files=files, segments=segments))
            self._sweep()

    def segments(self, shift: int) -> Iterator[Segment]:
        """Yield all vectors of items, under ids that are higher by `shift`."""
        for kind in Kind:
            for segment in self.vectors.segments(kind):
                yield replace(segment, ids=segment.ids + shift)

    def refresh_index(self) -> None:
        """Compact the library after a run of commits: fewer segments, a saved index."""
        with self.writing():
            stale = [self.view.snapshot(kind).deleted for kind in Kind if self._is_stale(kind)]
            for gone in stale:
                self.patch_tokens.forget(gone.tolist())
            self.vectors.refresh(self.normalizer.questions)
            if stale:
                self.patch_tokens.keep_only(self.catalog.item_ids(Kind.PHOTO).tolist())
                self._keep_thumbnails()
                self.catalog.forget_words()
            self.normalizer.refresh(self.catalog)

    def _keep_thumbnails(self) -> None:
        """Drop the thumbnails of what is no longer in the library."""
        cache = ThumbnailCache(self.folder)
        try:
            cache.keep_only(self.view.digests())
        finally:
            cache.close()

    def _is_stale(self, kind: Kind) -> bool:
        """Tell whether what was deleted of a kind is to be taken from the disk now."""
        return self.vectors.is_stale(self.view.snapshot(kind))

    def tune(self, aim: RecallTarget) -> None:
        """Make the saved indexes reach an aim, now and whenever they are written."""
        with self.writing():
            self.vectors.set_aim(aim)
            for kind in Kind:
                self.vectors.tune(kind, self.normalizer.questions)

    def _sweep(self) -> None:
        """Delete the files that no commit names."""
        self.vectors.sweep()
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
                    vectors=self.normalizer.stored(np.concatenate(vectors), kind).astype(
                        np.float16
                    ),
                )

    def _keep_tokens(self, files: Sequence[NewFile], entries: Sequence[BatchEntry]) -> None:
        """Keep what rerankers read of the photos, under the ids that these are about to get."""
        pairs = zip(files, entries, strict=True)
        kept = [(file.ids, entry.tokens) for file, entry in pairs if entry.tokens is not None]
        if kept:
            ids = [number for run, _ in kept for number in run]
            self.patch_tokens.write(ids, np.concatenate([tokens for _, tokens in kept]))


def remove(path: Path) -> None:
    """Delete an unfinished set of another model, whatever lies at its path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""One index run: what each stage of the line passes on to the next."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from indexer.catalog.changes import FileRecord, FileState, FolderState, Move, Touch
from indexer.catalog.unseen_files import UnseenFiles
from indexer.core.encoder import Encoder, TokenEncoder, Tokens, Vectors, checked, device_of
from indexer.core.types import Gap, Kind, Skip, State
from indexer.decoding.pool import decoders_for
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.index_report import IndexProgress, IndexReport, IndexTally
from indexer.ingest.missing_files import AbsenceDecision, KnownBefore, judged, out_of_reach
from indexer.ingest.prefetch import LoadedFile, Prefetcher, ReadJob, stamp_of
from indexer.ingest.walker import FoundFile, PassedOver, UnknownFile
from indexer.library.batch import BatchEntry, IndexBatch
from indexer.library.library import Library
from indexer.library.skipped_files import SKIPPED, SkippedFiles
from indexer.media.file_signature import kind_in

LOOKUP_ROWS = 500
"""Paths that are looked up in the catalog at once: one statement."""

T = TypeVar("T")


class IndexRun:
    """The stages of one index run, in order, and its counts."""

    def __init__(
        self,
        library: Library,
        encoder: Encoder,
        options: IndexOptions,
        progress: Callable[[IndexProgress], None] | None,
    ) -> None:
        self._options, self._encoder = options, encoder
        self._catalog, self._view = library.catalog, library.view
        self._tally = IndexTally(SkippedFiles(library.view.noted(SKIPPED)), progress)
        self.decoders = decoders_for(encoder, options.decode)
        self.reader = Prefetcher(
            decoders=self.decoders, limits=options.decode, ahead=options.batch_size
        )
        self._roots: Sequence[Path] = ()
        self._unseen = UnseenFiles(())  # files of the catalog that the walk has not met
        self._moved: set[int] = set()  # files that were met at another path
        self._closed: list[Path] = []  # what the walk could not look at
        self._folders: dict[Path, FolderState] = {}  # what the walk entered
        self._touches: list[Touch] = []
        self._gaps: tuple[Gap, ...] = ()

    def begin(self, roots: Sequence[Path]) -> IndexBatch:
        """Read the library's records below the roots; the first commit stores new roots."""
        self._roots = roots
        self._unseen = UnseenFiles(self._catalog.states(roots))
        known = self._catalog.roots()
        return IndexBatch(
            roots=[root for root in roots if not any(root.is_relative_to(other) for other in known)]
        )

    def enter(self, folder: Path, state: FolderState) -> None:
        """Note a folder that the walk entered."""
        self._folders[folder] = state

    def changed(self, found: Iterable[FoundFile | Skip | UnknownFile]) -> Iterator[ReadJob]:
        """Pass on the files whose size or date differs from the catalog."""
        for chunk in _chunks(found, LOOKUP_ROWS):
            files = [item for item in chunk if isinstance(item, FoundFile)]
            skips = [item for item in chunk if isinstance(item, Skip)]
            self._tally.passed_over.update(
                item.suffix for item in chunk if isinstance(item, UnknownFile)
            )
            self._tally.pass_by(skips)
            self._closed += [skip.path for skip in skips]
            self._tally.count["met"] += len(files)
            same = self._unseen.meet([_state(file) for file in files])
            self._tally.count["files"] += int(same.sum())
            self._tally.count["unchanged"] += int(same.sum())
            yield from self._looked_up([files[row] for row in np.flatnonzero(~same)])
            self._tally.tell()

    def _looked_up(self, files: Sequence[FoundFile]) -> Iterator[ReadJob]:
        """Pass on new and changed files with their records, and broken ones if a retry may help."""
        known = self._catalog.known(file.path for file in files)
        self._unseen.strike(file.id for file in known.values())
        for file in files:
            old = known.get(file.path)
            if old and self._is_same(old, file):
                self._tally.leave(old)
                self._touch(old, file)
            else:
                yield ReadJob(found=file, known=old)

    def embedded(self, loaded: Iterable[LoadedFile | Skip]) -> Iterator[BatchEntry | Move]:
        """Embed a batch of files at a time; those that only moved keep their vectors."""
        for chunk in _chunks(loaded, self._options.batch_size, size=_items):
            skips = [item for item in chunk if isinstance(item, Skip)]
            self._tally.pass_by(skips)
            self._tally.count["files"] += len(skips)
            files = [item for item in chunk if isinstance(item, LoadedFile)]
            alike = self._catalog.with_content(file.state.digest for file in files)
            fresh = []
            for file in files:
                origin = self._origin(file.state, alike)
                if origin is None:
                    fresh.append(file)
                elif self._is_touched(origin, file):
                    self._tally.leave(origin)
                    self._touch(origin, file.state)
                else:
                    yield self._move(origin, file)
            for portion in _chunks(fresh, self._options.commit_every, size=_items):
                yield from self._entries(portion)
                self._tally.tell()

    def _origin(self, state: FileState, alike: Iterable[FileRecord]) -> FileRecord | None:
        """Find the known file that this one is: only touched, or moved here from a lost path."""
        same = [
            old
            for old in alike
            if (old.digest, old.kind) == (state.digest, state.kind) and self.reader.is_settled(old)
        ]
        touched = (old for old in same if old.path == state.path)
        lost = (old for old in same if old.id in self._unseen and _is_moved(old.path, state.path))
        return next(touched, None) or next(lost, None)

    def _is_touched(self, origin: FileRecord, file: LoadedFile) -> bool:
        """Return whether only the dates of a known file differ."""
        state = file.state
        same = (origin.path, origin.stamp) == (state.path, state.stamp)
        return same and file.about is None

    def _move(self, origin: FileRecord, file: LoadedFile) -> Move:
        """Keep a known file under its new path and date, with its current metadata."""
        state = file.state
        if origin.path != state.path:
            self._tally.count["moved"] += 1
            self._tally.count["files"] += 1
            self._unseen.strike([origin.id])
            self._moved.add(origin.id)
            self._tally.list_skips(state.path, origin.reasons, before=origin.reasons)
        else:
            self._tally.leave(origin)
        return Move(
            file_id=origin.id,
            path=state.path,
            mtime_ns=state.mtime_ns,
            stamp=state.stamp,
            about=file.about,
            ctime_ns=state.ctime_ns,
            inode=state.inode,
        )

    def _entries(self, files: Sequence[LoadedFile]) -> Iterator[BatchEntry]:
        """Embed the photos of a batch together, and its passages together."""
        photos = [photo for file in files for photo in file.photos]
        texts = [text for file in files if not file.photos for text in file.texts]
        kept: deque[Tokens] = deque()
        encode = partial(_look, self._encoder, kept)
        rows = {
            Kind.PHOTO: iter(self._encoded(encode, photos)),
            Kind.TEXT: iter(self._encoded(self._encoder.encode_texts, texts)),
        }
        for file in files:
            vectors = np.zeros((len(file.texts), self._encoder.dim), dtype=np.float32)
            for row, vector in enumerate(islice(rows[file.state.kind], len(file.texts))):
                vectors[row] = vector
            self._tally.add(file)
            tokens = [kept.popleft() for _ in file.photos if kept]
            yield BatchEntry(
                state=file.state,
                texts=file.texts,
                vectors=vectors,
                tokens=np.concatenate(tokens) if tokens else None,
                times=file.times,
                about=file.about,
            )

    def _encoded(self, encode: Callable[[Sequence[T]], Vectors], inputs: Sequence[T]) -> Vectors:
        """Run a tower in batches. Shape (inputs, dim)."""
        parts = [np.empty((0, self._encoder.dim), dtype=np.float32)]
        for batch in _chunks(inputs, self._options.batch_size):
            parts.append(checked(encode(batch), encoder=self._encoder, rows=len(batch)))
        return np.concatenate(parts)

    def batches(self, changes: Iterable[BatchEntry | Move]) -> Iterator[IndexBatch]:
        """Gather changes into commits of `commit_every` items or a little more."""
        for chunk in _chunks(changes, self._options.commit_every, size=_items):
            yield IndexBatch(
                entries=[change for change in chunk if isinstance(change, BatchEntry)],
                moves=[change for change in chunk if isinstance(change, Move)],
            )

    def lost(self) -> IndexBatch:
        """Remove deleted files: those that the walk did not find and that are not out of reach."""
        unseen = {
            file_id: os.fspath(path)
            for file_id, path in self._catalog.paths(self._unseen).items()
            if not any(path.is_relative_to(closed) for closed in self._closed)
        }
        missing, closed = out_of_reach(unseen)
        there = [id_ for id_ in unseen if id_ not in missing and id_ not in closed]
        over = PassedOver(self._roots, self._options.walk)
        passed_over = {id_ for id_ in (*missing, *closed) if over.covers(unseen[id_])}
        missing = {id_: path for id_, path in missing.items() if id_ not in passed_over}
        closed = {id_: gap for id_, gap in closed.items() if id_ not in passed_over}
        for file_id, gap in closed.items():
            self._tally.pass_by([Skip(path=Path(unseen[file_id]), reason=gap.reason)])
        verdict = self._judged(missing, there)
        self._gaps = verdict.gaps
        removed = [*there, *passed_over, *verdict.deleted]
        self._tally.count["removed"] += len(removed)
        return IndexBatch(
            removed=removed,
            missing=verdict.kept,
            touches=self._touches,
            folders=self._changed_folders([*verdict.away, *self._closed]),
        )

    def _judged(self, missing: Mapping[int, str], unmet: Sequence[int]) -> AbsenceDecision:
        """Decide which missing files are deleted, and which are out of reach."""
        if self._options.prune or not missing:
            return AbsenceDecision(deleted=list(missing))
        there, present, fresh = set(unmet), [], []
        for file_id, path in self._catalog.located(self._roots):
            if file_id in self._moved or not self._unseen.knows(file_id):
                fresh.append(path)
            elif file_id in there or file_id not in self._unseen:
                present.append(path)
        kept = self._catalog.missing()
        held = KnownBefore(missing=missing, present=present, fresh=fresh, kept=kept)
        return judged(held, self._roots, self._catalog.folders())

    def _changed_folders(self, stay: Sequence[Path]) -> dict[Path, FolderState | None]:
        """Return the folders that are not as they were known, but for some and what lies below."""
        before = self._catalog.folders()
        changed: dict[Path, FolderState | None] = {
            path: state for path, state in self._folders.items() if before.get(path) != state
        }
        gone = (path for path in before if path not in self._folders)
        changed |= {
            path: None for path in gone if any(path.is_relative_to(root) for root in self._roots)
        }
        return {
            path: state
            for path, state in changed.items()
            if not any(path.is_relative_to(folder) for folder in stay)
        }

    def note_skips(self) -> None:
        """Store the files that could not be opened, for the next run."""
        noted = self._tally.noted_after(self._roots, partial=bool(self._gaps))
        if noted != (self._view.noted(SKIPPED) or "{}"):
            self._catalog.note(SKIPPED, noted)

    def report(self, away: Sequence[Gap]) -> IndexReport:
        """Say what the run did; `away` are the folders that were not there."""
        return self._tally.report((*away, *self._gaps), device_of(self._encoder))

    def _is_same(self, old: FileRecord, file: FoundFile) -> bool:
        """Return whether a file is unchanged; an older format stored no inodes."""
        same = (old.size, old.mtime_ns) == (file.size, file.mtime_ns)
        same &= old.ctime_ns is None or (old.ctime_ns, old.inode) == (file.ctime_ns, file.inode)
        return same and self.reader.is_settled(old) and self.reader.is_described(old, file)

    def _touch(self, old: FileRecord, file: FoundFile | FileState) -> None:
        """Store new dates of an unchanged file, or that a missing file is back."""
        now = Touch(
            file_id=old.id,
            mtime_ns=file.mtime_ns,
            ctime_ns=file.ctime_ns or 0,
            inode=file.inode or 0,
            sample=file.sample if isinstance(file, FileState) else None,
        )
        before = (old.mtime_ns, old.ctime_ns, old.inode, old.missing)
        if before != (now.mtime_ns, now.ctime_ns, now.inode, None):
            self._touches.append(now)


def _state(file: FoundFile) -> State:
    """Return what tells an unchanged file from a changed one."""
    dates = (file.mtime_ns, file.ctime_ns, file.inode)
    return os.fsencode(file.location), file.size, *dates, stamp_of(file)


def _look(encoder: Encoder, kept: deque[Tokens], photos: Sequence[Image.Image]) -> Vectors:
    """Embed photos, shape (photos, dim); append to `kept` the tokens of each, if there are any."""
    if not (isinstance(encoder, TokenEncoder) and encoder.token_shape):
        return encoder.encode_images(photos)
    vectors, tokens = encoder.encode_with_tokens(photos)
    kept.extend(tokens[:, None])  # each (1, tokens, width)
    return vectors


def _items(change: BatchEntry | Move | LoadedFile | Skip) -> int:
    """Count what a change weighs: its photos or passages, and 1 for none."""
    return 1 if isinstance(change, Move | Skip) else max(1, len(change.texts))


def _one(_: object) -> int:
    """Count anything as one."""
    return 1


def _chunks(
    items: Iterable[T], limit: int, *, size: Callable[[T], int] = _one
) -> Iterator[list[T]]:
    """Cut a stream into lists whose sizes add up to `limit` or just above; the last may be less."""
    chunk: list[T] = []
    total = 0
    for item in items:
        chunk.append(item)
        total += size(item)
        if total >= limit:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def _is_moved(old: Path, new: Path) -> bool:
    """Tell whether a file may have moved: the old path is free, and a text has its format still."""
    try:
        old.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return kind_in(new) == Kind.PHOTO or old.suffix.lower() == new.suffix.lower()
    except OSError:
        return False  # a closed folder may still hold it
    return False

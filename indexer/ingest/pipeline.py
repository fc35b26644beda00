"""The index pipeline: walk, decode, encode, append segments, commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from indexer.core.encoder import Encoder
from indexer.core.errors import UsageError
from indexer.core.types import Gap
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.index_report import IndexProgress, IndexReport
from indexer.ingest.index_run import IndexRun
from indexer.ingest.prefetch import reading_threads
from indexer.ingest.walker import walk
from indexer.library.library import Library
from indexer.library.lock import LockTimeout
from indexer.library.progress_note import ProgressNote
from indexer.media.file_signature import kind_in


def index_folders(
    library: Library,
    encoder: Encoder,
    folders: Sequence[Path],
    *,
    options: IndexOptions | None = None,
    progress: Callable[[IndexProgress], None] | None = None,
) -> IndexReport:
    """Bring a library up to date with folders: add new and changed files, remove deleted ones.

    A file that cannot be read is skipped and listed. Only files below `folders` change or are
    removed. Files below a folder that cannot be entered stay, and so do files whose drive may be
    unplugged. If one of several folders is unplugged, its files are kept and the others are
    indexed. If the run is killed, the library is intact as of its last commit, and the next run
    continues from there.

    Args:
        library: the library to update.
        encoder: the model that the library was made for.
        folders: what to index; single files, too.
        options: the defaults suit most uses.
        progress: called after each batch.

    Raises:
        UsageError: a folder does not exist, or all are empty although the library has files of
            them.
        ModelMismatch: the library was made for another encoder.
        LibraryLocked: another process is writing.
        TwinlensError: the encoder gave something other than unit vectors.
    """
    options = options or IndexOptions()
    library.check_model(encoder)
    roots, away = _reachable(library, folders, prune=options.prune)
    note = ProgressNote(library.folder)
    run = IndexRun(library, encoder, options, partial(_told, note, progress))
    with (
        library.writing(LockTimeout(seconds=options.wait_seconds)),
        note,
        run.decoders,
        reading_threads(options.threads, run.decoders) as pool,
    ):
        library.restore_banks(encoder)
        library.commit(run.begin(roots))
        found = walk(roots, options=options.walk, apart=[library.folder], enter=run.enter)
        changed = run.changed(found)
        loaded = run.reader.read_all(changed, pool)
        for batch in run.batches(run.embedded(loaded)):
            library.commit(batch)
        library.commit(run.lost())
        run.note_skips()
        library.refresh_index()
    return run.report(away)


def _told(
    note: ProgressNote, progress: Callable[[IndexProgress], None] | None, now: IndexProgress
) -> None:
    """Say how far a run is, to whoever looks at the library and to the caller."""
    note.write(
        met=now.met,
        files=now.files,
        photos=now.photos,
        texts=now.texts,
        skipped=now.skipped,
        seconds=now.seconds,
    )
    if progress is not None:
        progress(now)


def _reachable(
    library: Library, folders: Sequence[Path], *, prune: bool
) -> tuple[list[Path], list[Gap]]:
    """Resolve the folders, so that each file has one path whatever way leads to it.

    Returns:
        The folders that are there, and those that are away, of which the library holds files.

    Raises:
        UsageError: one is unknown and not there, or none is there.
    """
    if not folders:
        raise UsageError("no folder to index; name one, or several")
    roots: list[Path] = []
    away: list[Gap] = []
    refused: list[UsageError] = []
    for folder in folders:
        try:
            roots.append(_root(library, folder, prune=prune))
        except UsageError as error:
            held = len(library.catalog.files_below([folder.absolute()]))
            if not held:
                raise
            away.append(Gap(folder=folder.absolute(), reason=_AWAY, files=held))
            refused.append(error)
    if not roots:
        raise refused[0]
    return roots, away


_AWAY = "it is not there, or empty; is its drive plugged in?"


def _root(library: Library, folder: Path, *, prune: bool) -> Path:
    """Refuse a folder whose drive may be unplugged: its photos would all seem lost."""
    try:
        root = folder.resolve(strict=True)
        empty = root.is_dir() and not any(root.iterdir())
    except FileNotFoundError as error:
        raise UsageError(f"no folder at '{folder}'; is its drive plugged in?") from error
    except (OSError, RuntimeError) as error:
        raise UsageError(f"cannot read the folder '{folder}': {error}") from error
    if empty and not prune and library.catalog.files_below([root]):
        raise UsageError(
            f"'{folder}' is empty, but the library holds files of it; is its drive plugged in? "
            f"If they are gone for good, drop them with: twinlens index '{folder}' --prune"
        )
    if not root.is_dir() and kind_in(root) is None:
        raise UsageError(f"'{folder}' is neither a folder nor a supported photo, video or text")
    return root

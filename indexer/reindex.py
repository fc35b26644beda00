"""Another model: all is embedded anew beside the old vectors, then one commit switches.

The new set is a library of its own in `LIBRARY/next`. Until the switch searches use the old one;
killed before it, the old one is as it was, and the same command goes on where it stopped.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from indexer.build import IndexOptions, Progress, index_folders
from indexer.encoder import Encoder
from indexer.errors import ModelMismatch, UsageError
from indexer.library import NEXT, Library
from indexer.types import Kind, Skip
from indexer.writer import Patience

_FILES_AT_ONCE = 200  # single files are roots; SQLite takes no thousand of them in one query


@dataclass(frozen=True, kw_only=True)
class ReindexReport:
    """What the library holds after the switch, what could not be read, and how long it took.

    `still` is what could not be read before either, for the same reason.
    """

    photos: int
    texts: int
    skipped: tuple[Skip, ...]
    seconds: float
    still: tuple[Skip, ...] = ()


def reindex(
    folder: Path,
    encoder: Encoder,
    *,
    options: IndexOptions | None = None,
    patience: Patience | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> ReindexReport:
    """Embed all that a library holds with another model, and switch to it.

    Files that others add to the library meanwhile are added again by the next index run. An
    unfinished set of a third model is dropped.

    Raises:
        LibraryMissing: there is none.
        UsageError: it holds nothing, or a folder of it is not there: its drive may be unplugged.
        LibraryLocked: another process re-embeds it, or writes to it at the moment of the switch.
    """
    started = time.monotonic()
    with Library.open(folder) as library:
        roots = library.catalog.roots()
        if not roots:
            raise UsageError(f"the library '{folder}' holds nothing; fill it with: twinlens index")
        with _unfinished(folder / NEXT, encoder) as fresh:
            report = index_folders(fresh, encoder, roots, options=options, progress=progress)
            skipped = [*report.skipped, *_add_single_files(library, fresh, encoder, options)]
            before = _reasons(library)
            counts = fresh.counts()
            library.adopt(fresh, patience)
    shutil.rmtree(folder / NEXT)
    with Library.open(folder) as switched:
        switched.refresh_index()
    return ReindexReport(
        photos=counts[Kind.PHOTO],
        texts=counts[Kind.TEXT],
        skipped=tuple(skipped),
        still=tuple(skip for skip in skipped if (skip.path, skip.reason) in before),
        seconds=time.monotonic() - started,
    )


def _reasons(library: Library) -> set[tuple[Path, str]]:
    """Return the files of a library that could not be read, with the reasons."""
    files = (file.state for file in library.catalog.holdings())
    return {(state.path, reason) for state in files for reason in state.reasons}


def _unfinished(folder: Path, encoder: Encoder) -> Library:
    """Open the set that a killed run began; start anew where it is of another model, or broken."""
    try:
        return Library.open_or_create(folder, encoder)
    except (ModelMismatch, UsageError):
        shutil.rmtree(folder)
        return Library.create(folder, encoder)


def _add_single_files(
    library: Library, fresh: Library, encoder: Encoder, options: IndexOptions | None
) -> list[Skip]:
    """Add files that walking the folders did not meet, and that the library holds: hidden ones."""
    paths = {file.state.path for file in library.catalog.holdings()}
    paths -= {file.state.path for file in fresh.catalog.holdings()}
    files = sorted(path for path in paths if path.is_file())
    skipped: list[Skip] = []
    for start in range(0, len(files), _FILES_AT_ONCE):
        some = files[start : start + _FILES_AT_ONCE]
        skipped += index_folders(fresh, encoder, some, options=options).skipped
    return skipped

"""Embed a library again with another model, then switch to the new vectors in one commit.

The new vectors are a library of their own in `LIBRARY/next`. Until the switch, searches use the old
vectors. If the process is killed, the old library is unchanged and the same command continues. A
file on an unplugged drive cannot be embedded again. So while a file cannot be found, nothing is
started and nothing is switched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from indexer.core.encoder import Encoder
from indexer.core.errors import LibraryDamaged, UsageError
from indexer.core.types import Gap, Kind, Skip
from indexer.ingest.ignore_rules import lies_in_excluded
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.index_report import IndexProgress
from indexer.ingest.missing_files import KnownBefore, gathered, judged, out_of_reach
from indexer.ingest.pipeline import index_folders
from indexer.library.library import NEXT, Library, remove
from indexer.library.lock import LockTimeout
from indexer.library.skipped_files import SKIPPED, SkippedFiles
from indexer.library.verify import is_sound

_UNREAD = "cannot be read now; see the files that were skipped"

_FILES_AT_ONCE = 200  # single files are roots; SQLite takes no thousand of them in one query


@dataclass(frozen=True, kw_only=True)
class ReindexReport:
    """The content of the library after the switch, the files that could not be read, the seconds.

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
    patience: LockTimeout | None = None,
    progress: Callable[[IndexProgress], None] | None = None,
) -> ReindexReport:
    """Embed a whole library with another model, and switch to it.

    Files that others add to the library meanwhile are added again by the next index run. An
    unfinished set of a third model is dropped.

    Raises:
        LibraryMissing: there is none.
        UsageError: it holds nothing, or files of it are out of reach and `options` do not say to
            leave them behind (`prune`).
        LibraryLocked: another process re-embeds it, or writes to it at the moment of the switch.
    """
    started = time.monotonic()
    with Library.open(folder) as library:
        task = _ReindexRun(
            library=library,
            encoder=encoder,
            options=options or IndexOptions(),
            patience=patience,
            progress=progress,
        )
        known = _Known(library)
        counts, skipped = task.done()
    remove(folder / NEXT)
    with Library.open(folder) as switched:
        switched.refresh_index()
    return ReindexReport(
        photos=counts[Kind.PHOTO],
        texts=counts[Kind.TEXT],
        skipped=tuple(skipped),
        still=tuple(skip for skip in skipped if skip in known),
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True, kw_only=True)
class _ReindexRun:
    """One library, and the model that it gets."""

    library: Library
    encoder: Encoder
    options: IndexOptions
    patience: LockTimeout | None
    progress: Callable[[IndexProgress], None] | None

    def done(self) -> tuple[dict[Kind, int], list[Skip]]:
        """Embed all and switch; count what the library holds then, and list what it does not.

        A set that a killed run began, and that turns out to be broken, is started again.
        """
        if not self.library.catalog.roots():
            held = self.library.folder
            raise UsageError(f"the library '{held}' is empty; fill it with: twinlens index")
        if not self.options.prune:
            self._check_reach(dict(self._indexed_files()))
        try:
            return self._switched()
        except LibraryDamaged as error:
            if not error.path.is_relative_to(self.library.folder / NEXT):
                raise
        remove(self.library.folder / NEXT)
        return self._switched()

    def _switched(self) -> tuple[dict[Kind, int], list[Skip]]:
        """Fill the new set and hold it in place of the old one."""
        with _unfinished(self.library.folder / NEXT, self.encoder) as fresh:
            report = index_folders(
                fresh, self.encoder, self._roots(), options=self.options, progress=self.progress
            )
            skipped = [*report.skipped, *self._add_single_files(fresh)]
            counts = fresh.counts()
            if not self.options.prune:
                new = {path for _, path in fresh.catalog.located(fresh.catalog.roots())}
                self._check_reach(
                    {id_: path for id_, path in self._indexed_files() if path not in new},
                    embedded=True,
                )
            self.library.adopt(fresh, self.patience)
        return counts, skipped

    def _roots(self) -> list[Path]:
        """Return the folders of the library that are there.

        Raises:
            UsageError: none is.
        """
        roots = self.library.catalog.roots()
        there = [root for root in roots if root.exists()]
        if not there:
            names = ", ".join(map(str, roots))
            raise UsageError(f"no folder of the library can be found: {names}; nothing was changed")
        return there

    def _indexed_files(self) -> Iterator[tuple[int, str]]:
        """Yield id and path of the files that the library holds, but for trash and the like."""
        roots = self.library.catalog.roots()
        named = tuple(map(os.fspath, roots))
        names = self.options.walk.exclude_dirs
        for id_, path in self.library.catalog.located(roots):
            if path in named or not lies_in_excluded(path.rpartition(os.sep)[0], named, names):
                yield id_, path

    def _check_reach(self, lacking: Mapping[int, str], *, embedded: bool = False) -> None:
        """Refuse to go on where files that the new set lacks may only be out of reach.

        Args:
            lacking: paths by id.
            embedded: whether all that can be read is in the new set.

        Raises:
            UsageError: names their folders, and says what to do.
        """
        catalog = self.library.catalog
        missing, closed = out_of_reach(lacking)
        if embedded:
            unread = set(lacking) - set(missing) - set(closed)
            closed |= {id_: Gap(folder=Path(lacking[id_]).parent, reason=_UNREAD) for id_ in unread}
        there = (
            path for id_, path in self._indexed_files() if id_ not in missing and id_ not in closed
        )
        held = KnownBefore(missing=missing, present=there, kept=catalog.missing())
        gaps = [*judged(held, catalog.roots(), catalog.folders()).gaps, *gathered(closed.values())]
        if gaps:
            told = "; ".join(f"{gap.files:,} of '{gap.folder}' ({gap.reason})" for gap in gaps)
            raise UsageError(
                f"these files cannot be found, so they cannot be embedded again: {told}. Nothing "
                "was changed. Plug the drive in, or leave them out with: twinlens reindex --prune"
            )

    def _add_single_files(self, fresh: Library) -> list[Skip]:
        """Add files that walking the folders did not meet, and the library holds: hidden ones."""
        paths = {Path(path) for _, path in self._indexed_files()}
        paths -= {file.state.path for file in fresh.catalog.holdings()}
        files = sorted(path for path in paths if os.path.isfile(path))  # noqa: PTH113
        skipped: list[Skip] = []
        for start in range(0, len(files), _FILES_AT_ONCE):
            some = files[start : start + _FILES_AT_ONCE]
            skipped += index_folders(fresh, self.encoder, some, options=self.options).skipped
        return skipped


class _Known:
    """What a library lists as skipped: files that could not be read, or not even be opened."""

    def __init__(self, library: Library) -> None:
        files = (file.state for file in library.catalog.holdings())
        self._reasons = {(state.path, reason) for state in files for reason in state.reasons}
        self._noted = SkippedFiles(library.view.noted(SKIPPED))

    def __contains__(self, skip: Skip) -> bool:
        return (skip.path, skip.reason) in self._reasons or skip in self._noted


def _unfinished(folder: Path, encoder: Encoder) -> Library:
    """Open the set that a killed run began; start again where it is of another model, or broken."""
    if folder.exists() and not is_sound(folder):
        remove(folder)
    try:
        return Library.open_or_create(folder, encoder)
    except (LibraryDamaged, UsageError):
        remove(folder)
        return Library.create(folder, encoder)

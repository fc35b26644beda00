"""What an index run meets: its progress, its tally and its report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from indexer.catalog.changes import FileRecord
from indexer.core.file_types import WANTING
from indexer.core.types import Gap, Skip
from indexer.ingest.prefetch import CHANGED, LoadedFile
from indexer.library.skipped_files import SkippedFiles


@dataclass(frozen=True, kw_only=True)
class IndexProgress:
    """The progress of an index run.

    Attributes:
        met: files that the walk has met so far, some batches ahead.
        files: how many of these are done; the other fields count what became of them.
    """

    met: int
    files: int
    unchanged: int
    skipped: int
    photos: int
    texts: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class IndexReport:
    """The result of an index run.

    Attributes:
        photos: photos that are new.
        videos: videos that are new.
        texts: passages that are new.
        updated: files whose content had changed.
        moved: files known from another path.
        removed: files that had gone.
        unchanged: files left as they were.
        kept: folders whose files were not found and are kept; see `indexer.ingest.missing_files`.
        skipped: files and rows that could not be read, and folders that could not be entered.
        damaged: files that were read although something is wrong with them, and what.
        still: those of them that were skipped before, have not changed, and failed alike.
        seconds: the time it took.
        device: where the model computed.
        passed_over: how many files of other kinds there were, by their suffix.
    """

    photos: int
    videos: int
    texts: int
    updated: int
    moved: int
    removed: int
    unchanged: int
    skipped: tuple[Skip, ...]
    damaged: tuple[Skip, ...]
    seconds: float
    device: str
    kept: tuple[Gap, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)
    still: tuple[Skip, ...] = ()


class IndexTally:
    """What an index run has met so far, and what became of it.

    Args:
        noted: what the runs before could not even open.
        progress: called by `tell`; None where nobody watches.
    """

    def __init__(
        self, noted: SkippedFiles, progress: Callable[[IndexProgress], None] | None
    ) -> None:
        self._noted, self._progress = noted, progress
        self._started = time.monotonic()
        self._skipped: list[Skip] = []
        self._damaged: list[Skip] = []
        self._still: list[Skip] = []  # of these, what was skipped before
        self._passing: list[Skip] = []  # and what has no row in the catalog
        self.count: Counter[str] = Counter()
        self.passed_over: Counter[str] = Counter()  # files of other kinds, by suffix

    def leave(self, old: FileRecord) -> None:
        """Count a file that stays as it is; a broken one is listed again."""
        self.count["files"] += 1
        self.count["unchanged"] += not old.reasons
        self.list_skips(old.path, old.reasons, before=old.reasons)

    def add(self, file: LoadedFile) -> None:
        """Count a file that was read anew."""
        self.count["files"] += 1
        if file.remark:
            self._damaged.append(Skip(path=file.state.path, reason=file.remark))
        same = file.known is not None and file.known.digest == file.state.digest
        before = file.known.reasons if file.known and same else ()
        self.list_skips(file.state.path, file.state.reasons, before=before)
        if file.known and file.texts:
            self.count["updated"] += 1
        elif file.photos:
            self.count["videos" if file.times else "photos"] += 1
        else:
            self.count["texts"] += len(file.texts)

    def list_skips(self, path: Path, reasons: Iterable[str], *, before: Iterable[str]) -> None:
        """List a file as skipped, once for each reason; `before` are those of the last run."""
        skips = [
            Skip(path=path, reason=reason, wants=WANTING.get(reason, "")) for reason in reasons
        ]
        self._skipped += skips
        self._still += [skip for skip in skips if skip.reason in before]

    def pass_by(self, skips: Sequence[Skip]) -> None:
        """List what could not even be opened."""
        self._skipped += skips
        self._passing += [skip for skip in skips if skip.reason != CHANGED]
        self._still += [skip for skip in skips if skip in self._noted]

    def noted_after(self, roots: Sequence[Path], *, partial: bool) -> str:
        """Return what the next run has to know of what could not be opened.

        Args:
            roots: what this run looked at.
            partial: whether it could not look at all of it.
        """
        return self._noted.after(roots, self._passing, partial=partial)

    def tell(self) -> None:
        """Report how far the run is."""
        if self._progress is not None:
            self._progress(
                IndexProgress(
                    met=self.count["met"],
                    files=self.count["files"],
                    unchanged=self.count["unchanged"],
                    skipped=len(self._skipped),
                    photos=self.count["photos"],
                    texts=self.count["texts"],
                    seconds=time.monotonic() - self._started,
                )
            )

    def report(self, kept: Sequence[Gap], device: str) -> IndexReport:
        """Say what the run did."""
        return IndexReport(
            photos=self.count["photos"],
            videos=self.count["videos"],
            texts=self.count["texts"],
            updated=self.count["updated"],
            moved=self.count["moved"],
            removed=self.count["removed"],
            unchanged=self.count["unchanged"],
            skipped=tuple(self._skipped),
            damaged=tuple(self._damaged),
            still=tuple(self._still),
            seconds=time.monotonic() - self._started,
            device=device,
            kept=tuple(kept),
            passed_over=dict(self.passed_over.most_common()),
        )

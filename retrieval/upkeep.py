"""Check and repair a library: its files, its reference vectors, its learned names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from indexer.core.errors import TwinlensError
from indexer.library.library import Library
from indexer.library.lock import LockTimeout
from indexer.library.verify import Finding, Repair
from indexer.library.verify import check as check_files
from indexer.library.verify import repair as repair_files
from retrieval.concepts import Concepts
from retrieval.runtime.model_choice import ModelChoice


@dataclass(frozen=True, kw_only=True)
class RepairReport(Repair):
    """What a repair did.

    Attributes:
        notes: why something could not be repaired.
    """

    notes: tuple[str, ...] = ()


def check(folder: Path) -> list[Finding]:
    """Check every file of a library, and return what is wrong. Changes and locks nothing.

    Raises:
        LibraryMissing: there is no library.
        LibraryTooNew: a newer version wrote it.
        LibraryDamaged: the catalog is missing, so the other files cannot be checked.
    """
    return check_files(folder) + _broken_names(folder)


def repair(folder: Path, *, patience: LockTimeout | None = None) -> RepairReport:
    """Repair what can be repaired. Reference vectors are computed again with the library's model.

    Raises:
        LibraryDamaged: the catalog cannot be repaired.
        LibraryLocked: another process is writing.
    """
    done = repair_files(folder, patience=patience)
    report = RepairReport(mended=done.mended, left=done.left, dropped=done.dropped)
    report = _with_model(folder, report)
    return replace(report, left=(*report.left, *_broken_names(folder)))


def _with_model(folder: Path, report: RepairReport) -> RepairReport:
    """Restore the reference vectors with the library's model; return what is still wrong."""
    with Library.open(folder) as opened:
        banks = folder / opened.view.facts().banks
        if banks not in [finding.path for finding in report.left]:
            return report
        try:
            restored = opened.restore_banks(ModelChoice().quick(opened.model))
        except TwinlensError as error:
            return replace(report, notes=(f"the model is needed to repair {banks}: {error}",))
    return replace(report, left=tuple(check_files(folder))) if restored else report


def _broken_names(folder: Path) -> list[Finding]:
    """Return the learned names that cannot be read."""
    _, skipped = Concepts(folder).read()
    remedy = "learn it again with: twinlens learn"
    return [Finding(path=skip.path, fault=f"is a {skip.reason}", remedy=remedy) for skip in skipped]

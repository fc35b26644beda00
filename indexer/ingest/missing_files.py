"""Decide which files that a walk did not find are deleted, and which are only out of reach.

An empty mount point, a network share that shows an empty folder, and a folder that someone emptied
look alike. So a file counts as deleted only if other files of its folder, or of the folder above,
are still there. All other missing files stay in the library until they are found again, or until
someone says that they are gone for good (`--prune`).

| what is not found | result |
|---|---|
| all known files of a root | kept |
| all of a folder that was replaced (inode, mount) or whose drive is not mounted | kept |
| all of an unchanged folder, three files or more | kept |
| half of a root or more, five files or more | kept |
| files that were kept before | kept |
| anything else: single files, and folders that were deleted with their contents | deleted |
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from indexer.catalog.changes import FolderState
from indexer.core.types import Gap
from indexer.ingest.walker import folder_state

FEW = 3
"""So many files of a folder that is left empty are kept; fewer were tidied up by hand."""

LARGE, SHARE = 5, 0.5
"""So many files of a root, and such a share of it, are kept if they are gone at once."""

_NONE_LEFT = "none of its files is there; is its drive plugged in?"
_NO_DRIVE = "its drive is not mounted"
_AT_ONCE = "{gone:,} of its {all:,} files are gone at once"
_STILL = "still not found"


@dataclass(frozen=True, kw_only=True)
class KnownBefore:
    """The files of the library below the roots before the run, and the files found since.

    Attributes:
        missing: paths of the files that are not there, by id.
        present: paths of those that are.
        fresh: paths of those that are new, or came from elsewhere.
        kept: ids of those that an earlier run did not find.
    """

    missing: Mapping[int, str]
    present: Iterable[str]
    fresh: Iterable[str] = ()
    kept: Collection[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class AbsenceDecision:
    """The decision about missing files: which are deleted, and which are kept.

    Attributes:
        deleted: ids of those that are gone for good.
        kept: ids of those that are out of reach.
        gaps: their folders.
        away: folders that nothing speaks for; what was known of them holds.
    """

    deleted: Sequence[int]
    kept: Sequence[int] = ()
    gaps: tuple[Gap, ...] = ()
    away: Sequence[Path] = ()


def out_of_reach(paths: Mapping[int, str]) -> tuple[dict[int, str], dict[int, Gap]]:
    """Look for files by id; return those that do not exist, and those that cannot be checked.

    A file that is there is in neither.
    """
    missing: dict[int, str] = {}
    closed: dict[int, Gap] = {}
    for id_, path in paths.items():
        try:
            os.stat(path)  # noqa: PTH116 - of many files a Path costs more than the look
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(path):  # noqa: PTH114
                closed[id_] = Gap(folder=Path(_folder(path)), reason="a link that leads nowhere")
            else:
                missing[id_] = path
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            closed[id_] = Gap(folder=Path(_folder(path)), reason=reason)
    return missing, closed


def gathered(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """Count the files of each gap."""
    return tuple(
        Gap(folder=gap.folder, reason=gap.reason, files=files)
        for gap, files in Counter(gaps).items()
    )


def judged(
    held: KnownBefore, roots: Sequence[Path], folders: Mapping[Path, FolderState]
) -> AbsenceDecision:
    """Decide which missing files are deleted, and which are out of reach.

    Args:
        held: the files.
        roots: the folders, or single files, that were walked.
        folders: what was known of folders before the walk.
    """
    if not held.missing:
        return AbsenceDecision(deleted=())
    court = _Court(
        roots=sorted(map(os.fspath, roots), key=len, reverse=True),
        known={os.fspath(path): state for path, state in folders.items()},
        missing=_by_folder(held.missing.values()),
    )
    court.hear(held)
    kept: dict[int, Gap] = {}
    deleted: defaultdict[str, list[int]] = defaultdict(list)
    for id_, path in held.missing.items():
        root = court.root_of(path)
        gap = court.gap(_folder(path) if path != root else path, root)
        if gap is None and id_ in held.kept:
            gap = Gap(folder=Path(root), reason=_STILL)
        if gap is None:
            deleted[root].append(id_)
        else:
            kept[id_] = gap
    for root, ids in list(deleted.items()):
        if len(ids) >= LARGE and len(ids) >= SHARE * court.count[root]:
            reason = _AT_ONCE.format(gone=len(ids), all=court.count[root])
            kept |= dict.fromkeys(deleted.pop(root), Gap(folder=Path(root), reason=reason))
    return AbsenceDecision(
        deleted=[id_ for ids in deleted.values() for id_ in ids],
        kept=list(kept),
        gaps=gathered(kept.values()),
        away=[gap.folder for gap in court.found.values() if gap is not None],
    )


@dataclass(kw_only=True)
class _Court:
    """Collects, for each folder, which files were found and which are missing.

    Attributes:
        roots: the innermost first.
        known: what was known of folders before the walk.
        missing: names of the files that are not there, by their folder.
        present: folders with a file that is there, in them or below.
        fresh: folders with a file that is new.
        count: files that were held, by root.
        found: what was found of a folder: the gap that it belongs to.
    """

    roots: Sequence[str]
    known: Mapping[str, FolderState]
    missing: Mapping[str, Sequence[str]]
    present: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)
    count: Counter[str] = field(default_factory=Counter)
    found: dict[str, Gap | None] = field(default_factory=dict)

    def hear(self, held: KnownBefore) -> None:
        """Take down the files."""
        for path in held.present:
            self.count[self.root_of(path)] += 1
            _climb(path, self.present)
        for path in held.fresh:
            _climb(path, self.fresh)
        self.count.update(map(self.root_of, held.missing.values()))

    def root_of(self, path: str) -> str:
        """Return the innermost root that a path lies in."""
        inside = (root for root in self.roots if path == root or path.startswith(_within(root)))
        return next(inside, "")

    def gap(self, folder: str, root: str) -> Gap | None:
        """Return the outermost folder, from the root down, that is out of reach."""
        if folder not in self.found:
            above = None if len(folder) <= len(root) else self.gap(_folder(folder), root)
            self.found[folder] = above or self._own(folder, is_root=folder == root)
        return self.found[folder]

    def _own(self, folder: str, *, is_root: bool) -> Gap | None:
        """Return the gap of a folder, if nothing speaks for it."""
        if folder in self.present:
            return None
        gap = Gap(folder=Path(folder), reason=_NONE_LEFT)
        known = self.known.get(folder)
        try:
            now = folder_state(Path(folder))
            names = set(os.listdir(folder)) if now else set()  # noqa: PTH208 - names alone
        except OSError:
            return gap
        is_link = os.path.islink(folder)  # noqa: PTH114 - of what it leads to nothing is known
        if now is None and not is_root and not is_link:
            is_away = known is not None and known.mounted
            return Gap(folder=Path(folder), reason=_NO_DRIVE) if is_away else None
        if self._are_replaced(folder, names):
            return None
        same = now is not None and now == known and not now.mounted
        if same and folder in self.fresh:
            return None
        return None if same and not is_root and len(self._lost(folder)) < FEW else gap

    def _lost(self, folder: str) -> Sequence[str]:
        """Return the names of the files that are missing in a folder itself."""
        return self.missing.get(folder, ())

    def _are_replaced(self, folder: str, names: Iterable[str]) -> bool:
        """Return whether something of the same name is there: another format, a RAW, a sidecar."""
        stems = {name[:at].lower() for name in names for at, char in enumerate(name) if char == "."}
        return any(name.rpartition(".")[0].lower() in stems for name in self._lost(folder))


def _by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    """Return names by their folder."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        names[_folder(path)].append(path.rpartition(os.sep)[2])
    return names


def _climb(path: str, folders: set[str]) -> None:
    """Add the folders above a path."""
    folder = _folder(path)
    while folder not in folders:
        folders.add(folder)
        folder = _folder(folder)


def _folder(path: str) -> str:
    """Return the folder that a path lies in; of the topmost folder, itself."""
    above = path.rpartition(os.sep)[0]
    return above or os.sep


def _within(root: str) -> str:
    """Return what the paths below a folder begin with."""
    return root if root.endswith(os.sep) else root + os.sep

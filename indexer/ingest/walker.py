"""Walk folders for files to index, in a fixed order.

The order is sorted, so two runs over one tree see the same order. Real folders come before linked
ones, so a photo is known by its real path if both lead to it.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from indexer.catalog.changes import FolderState
from indexer.core.errors import FileUnreadable
from indexer.core.file_access import (
    MAX_SIDECAR_BYTES,
    NOT_REGULAR,
    date,
    is_regular,
    signed,
    too_large,
)
from indexer.core.file_types import SIDECAR_SUFFIXES, suffix_of
from indexer.core.types import Kind, Skip
from indexer.ingest.ignore_rules import EXCLUDED_DIRS, IGNORE_FILE, IgnoreRules, is_excluded
from indexer.ingest.stacks import companions, followers
from indexer.media.file_signature import kind_in

SIDECAR = ".xmp"
"""What editors write beside a photo: `a.jpg.xmp`, or `a.xmp`."""

Identity: TypeAlias = tuple[int, int | str]


@dataclass(frozen=True, kw_only=True)
class WalkOptions:
    """What a walk passes over.

    Attributes:
        exclude_dirs: names of folders never entered, at any depth, as in
            `indexer.ingest.ignore_rules.EXCLUDED_DIRS`. A root is always entered.
        include_hidden: whether names that begin with a dot are seen.
    """

    exclude_dirs: tuple[str, ...] = EXCLUDED_DIRS
    include_hidden: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class UnknownFile:
    """A file that is neither photo nor text; `suffix` in small letters, empty for none."""

    suffix: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFile:
    """A photo or text on disk. `size` is in bytes, `mtime_ns` in nanoseconds since 1970.

    `location` is its path as text: of most files an index run asks no more, and a `Path` costs
    more than looking at the file. `sidecar` is the `.xmp` file beside a photo, `sidecar_ns` is
    another number after each change of it. `also` are the names of the files of the same shot that
    follow it, see `indexer.ingest.stacks`. `ctime_ns` and `inode` tell a changed file whose size
    and date are as before, see `indexer.catalog.changes.FileState`.
    """

    location: str
    kind: Kind
    size: int
    mtime_ns: int
    sidecar: Path | None = None
    sidecar_ns: int = 0
    also: tuple[str, ...] = ()
    ctime_ns: int = field(default=0, compare=False)
    inode: int = field(default=0, compare=False)

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.location)


Enter: TypeAlias = Callable[[Path, FolderState], None]
"""Called for each folder that a walk entered, but for those that links lead to."""


def walk(
    roots: Sequence[Path],
    *,
    options: WalkOptions,
    apart: Sequence[Path] = (),
    enter: Enter = lambda _path, _state: None,
) -> Iterator[FoundFile | Skip | UnknownFile]:
    """Yield every photo and text below `roots` once, however the roots overlap or link.

    Args:
        roots: folders or single files. Give resolved paths: a file is known by its path.
        options: what to skip, besides what `.twinlensignore` files name.
        apart: folders never entered, such as the library itself.
        enter: told of each folder.

    Yields:
        A `FoundFile` for each regular file that is a photo or text, told by its suffix or, where
        that is unknown, by its first bytes; a `Skip` for each folder or file that the system will
        not let us look at, each link that leads nowhere and each sidecar that is not read; a
        `UnknownFile` for each other file, but for sidecars.
    """
    entered = {_identity(folder) for folder in apart if folder.is_dir()}
    there = {root: _is_folder(root) for root in roots}
    named = dict.fromkeys(os.fspath(root) for root, is_folder in there.items() if not is_folder)
    for path in map(Path, named):
        beside = (path.with_name(path.name + SIDECAR), path.with_suffix(SIDECAR))
        nearby = [os.fspath(each) for each in beside if os.path.exists(each)]  # noqa: PTH110
        yield from _look(os.fspath(path), _sidecars(nearby))
    folders = deque(_Folder(path=root) for root, is_folder in there.items() if is_folder)
    links: deque[_Folder] = deque()
    while folders or links:
        folder = (folders or links).popleft()
        try:
            below = _enter(folder, entered, options)
        except OSError as error:
            yield Skip(path=folder.path, reason=_reason(error))
            continue
        except FileUnreadable as error:
            yield Skip(path=folder.path, reason=f"{IGNORE_FILE}: {error}")
            continue
        if below.state is not None:
            enter(folder.path, below.state)
        yield from below.closed
        links.extend(below.links)
        folders.extendleft(reversed(below.folders))
        sidecars = _sidecars(below.files)
        pairs = companions(map(_name, below.files), folder.path)
        passed = followers(pairs)
        for location in below.files:
            name = _name(location)
            if location not in named and name not in passed:
                yield from _look(location, sidecars, pairs.get(name, ()))


@dataclass(frozen=True, kw_only=True)
class _Folder:
    """A folder to enter.

    Attributes:
        path: of the folder.
        ignore: what its parent leaves out; None for a root.
        device: of its parent; None for a root.
        is_link: whether a link leads there.
    """

    path: Path
    ignore: IgnoreRules | None = None
    device: int | None = None
    is_link: bool = False


@dataclass(frozen=True, kw_only=True)
class _Below:
    """What one folder holds, each list sorted by name; files as in `FoundFile.location`.

    `closed` is what the system does not let us look at, and links that lead nowhere. `state` is
    None for what is met a second time, and for what a link leads to.
    """

    folders: list[_Folder] = field(default_factory=list)
    links: list[_Folder] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    closed: list[Skip] = field(default_factory=list)
    state: FolderState | None = None


def _enter(folder: _Folder, entered: set[Identity], options: WalkOptions) -> _Below:
    """List a folder the first time it is met; a second time, by a link or a loop, nothing."""
    status = folder.path.stat()
    identity = _identity_of(status, folder.path)
    if identity in entered:
        return _Below()
    entered.add(identity)
    below = _Below(state=None if folder.is_link else _state(folder, status))
    with os.scandir(folder.path) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    ignore = IgnoreRules.above(folder.path) if folder.ignore is None else folder.ignore
    if any(entry.name == IGNORE_FILE for entry in entries):
        ignore = ignore.within(folder.path)
    for entry in entries:
        try:
            if not _is_passed_over(entry, options, ignore):
                _sort_in(entry, below, ignore, status.st_dev)
        except OSError as error:
            below.closed.append(Skip(path=Path(entry.path), reason=_reason(error)))
    return below


def _sort_in(entry: os.DirEntry[str], below: _Below, ignore: IgnoreRules, device: int) -> None:
    """Put an entry of a folder where it belongs."""
    is_link = entry.is_symlink()
    if is_link and not os.path.exists(entry.path):  # noqa: PTH110 -- never raises
        below.closed.append(Skip(path=Path(entry.path), reason="a link that leads nowhere"))
    elif not _is_dir(entry):
        below.files.append(entry.path)
    else:
        known = below.links if is_link else below.folders
        known.append(_Folder(path=Path(entry.path), ignore=ignore, device=device, is_link=is_link))


def folder_state(path: Path) -> FolderState | None:
    """Return how a folder is now; None if there is none.

    Raises:
        OSError: the system does not say.
    """
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISDIR(status.st_mode):
        return None
    return _state(_Folder(path=path), status)


def _state(folder: _Folder, status: os.stat_result) -> FolderState:
    """Return what tells a folder from an empty mount point at its path."""
    above = folder.path.parent.stat().st_dev if folder.device is None else folder.device
    return FolderState(inode=signed(status.st_ino), mounted=above != status.st_dev)


def _is_folder(root: Path) -> bool:
    """Return whether a root is a folder; one that the system does not show is one, and closed."""
    try:
        return root.is_dir()
    except OSError:
        return True


def _is_dir(entry: os.DirEntry[str]) -> bool:
    """Tell a folder, or a link to one; a link that leads in a circle is none."""
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()  # noqa: PTH112


def _is_passed_over(entry: os.DirEntry[str], options: WalkOptions, ignore: IgnoreRules) -> bool:
    """Return whether a name is not looked at: hidden, excluded, or ignored."""
    if entry.name.startswith(".") and not options.include_hidden:
        return True  # and its kind need not be asked for
    return _is_left_out(entry.path, options, ignore, is_dir=_is_dir(entry))


def _is_left_out(path: str, options: WalkOptions, ignore: IgnoreRules, *, is_dir: bool) -> bool:
    """Return whether a path is hidden, excluded, or ignored."""
    if _name(path).startswith(".") and not options.include_hidden:
        return True
    if is_dir and is_excluded(path, options.exclude_dirs):
        return True
    return ignore.covers(path, is_dir=is_dir)


class PassedOver:
    """Tells of paths that a walk did not meet, and that may not exist, whether it would have."""

    def __init__(self, roots: Sequence[Path], options: WalkOptions) -> None:
        self._options = options
        self._ignores: dict[str, IgnoreRules | None] = {
            os.fspath(root): _ignore_in(root, IgnoreRules.above(root)) for root in roots
        }

    def covers(self, path: str) -> bool:
        """Return whether a file below the roots is skipped, whatever is there now."""
        if path in self._ignores:
            return False
        ignore = self._within(os.path.dirname(path))  # noqa: PTH120 - a str, see `FoundFile`
        return ignore is None or _is_left_out(path, self._options, ignore, is_dir=False)

    def _within(self, folder: str) -> IgnoreRules | None:
        """Return what is left out of a folder; None for one that is skipped itself."""
        if folder not in self._ignores:
            above = self._within(os.path.dirname(folder))  # noqa: PTH120
            is_out = above is None or _is_left_out(folder, self._options, above, is_dir=True)
            within = None if is_out or above is None else _ignore_in(Path(folder), above)
            self._ignores[folder] = within
        return self._ignores[folder]


def _ignore_in(folder: Path, above: IgnoreRules) -> IgnoreRules:
    """Return what is left out of a folder; a file that cannot be read leaves out nothing."""
    try:
        return above.within(folder)
    except FileUnreadable:
        return above


def _sidecars(files: Iterable[str]) -> dict[str, str]:
    """Return the sidecars among the files of a folder, by name in small letters."""
    return {_name(each).lower(): each for each in files if each.lower().endswith(SIDECAR)}


def _look(
    location: str, sidecars: Mapping[str, str], also: tuple[str, ...] = ()
) -> Iterator[FoundFile | Skip | UnknownFile]:
    """Yield a file if it is a photo or text; pipes and devices are neither.

    A sidecar that is too large or no regular file is named, and the photo goes without.
    """
    kind = kind_in(location)
    if kind is None:
        if suffix_of(location) not in SIDECAR_SUFFIXES:
            yield UnknownFile(suffix=suffix_of(location))
        return
    try:
        status = os.stat(location)  # noqa: PTH116 - a str, see `FoundFile`
    except FileNotFoundError:
        return
    except OSError as error:
        yield Skip(path=Path(location), reason=_reason(error))
        return
    if not is_regular(status):
        return
    sidecar, sidecar_ns = None, 0
    if sidecars and kind == Kind.PHOTO:
        try:
            sidecar, sidecar_ns = _beside((_name(location), *also), sidecars)
        except _SidecarRefused as refused:
            yield refused.skip
    yield FoundFile(
        location=location,
        kind=kind,
        size=status.st_size,
        mtime_ns=date(status.st_mtime_ns),
        sidecar=sidecar,
        sidecar_ns=sidecar_ns,
        also=also,
        ctime_ns=date(status.st_ctime_ns),
        inode=signed(status.st_ino),
    )


def _beside(shot: Sequence[str], sidecars: Mapping[str, str]) -> tuple[Path | None, int]:
    """Return a shot's sidecar and a number that tells its changes; a whole name goes before a stem.

    Raises:
        _SidecarRefused: it is not to be read.
    """
    names = [f"{name}{SIDECAR}".lower() for name in (*shot, shot[0].rpartition(".")[0])]
    sidecar = next((Path(sidecars[name]) for name in names if name in sidecars), None)
    if sidecar is None:
        return None, 0
    try:
        status = sidecar.stat()
    except OSError:
        return None, 0
    if not is_regular(status):
        raise _SidecarRefused(sidecar, f"{NOT_REGULAR}; {_WITHOUT}")
    if status.st_size > MAX_SIDECAR_BYTES:
        raise _SidecarRefused(sidecar, f"{too_large(MAX_SIDECAR_BYTES)}; {_WITHOUT}")
    return sidecar, _changed(status)


def _changed(status: os.stat_result) -> int:
    """Return a number that is another one after each change, one that keeps the date, too.

    It is the date where both times of change agree, as they do after most edits.
    """
    dates = status.st_mtime_ns, status.st_ctime_ns
    return dates[0] if dates[0] == dates[1] else dates[0] ^ dates[1]


_WITHOUT = "the photo is indexed without it"


class _SidecarRefused(FileUnreadable):
    """A sidecar is not read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(reason)
        self.skip = Skip(path=path, reason=reason)


def _name(location: str) -> str:
    """Return the last part of a path."""
    return location.rpartition(os.sep)[2]


def _identity(folder: Path) -> Identity:
    """Name a folder by device and inode, or by path on file systems that number nothing."""
    return _identity_of(folder.stat(), folder)


def _identity_of(status: os.stat_result, folder: Path) -> Identity:
    """Name a folder whose status is known."""
    return status.st_dev, status.st_ino or str(folder)


def _reason(error: OSError) -> str:
    """Say why the system refused, in its own words: "permission denied"."""
    return (error.strerror or str(error)).lower()

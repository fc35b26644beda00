"""Folders become files to index, in a fixed order.

The order is sorted, so two runs over one tree see it alike. Real folders come before linked ones,
so a photo is known by its real path when both lead to it.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from indexer.companions import companions, followers
from indexer.errors import FileUnreadable
from indexer.excluded import EXCLUDED_DIRS, is_excluded
from indexer.formats import SIDECAR_SUFFIXES, suffix_of
from indexer.ignore import IGNORE_FILE, Ignore
from indexer.sniffing import kind_in
from indexer.types import Kind, Skip

SIDECAR = ".xmp"
"""What editors write beside a photo: `a.jpg.xmp`, or `a.xmp`."""

Identity: TypeAlias = tuple[int, int | str]


@dataclass(frozen=True, kw_only=True)
class WalkOptions:
    """What a walk passes over.

    Attributes:
        exclude_dirs: names of folders never entered, at any depth, as in
            `indexer.excluded.EXCLUDED_DIRS`. A root is always entered.
        include_hidden: whether names that begin with a dot are seen.
    """

    exclude_dirs: tuple[str, ...] = EXCLUDED_DIRS
    include_hidden: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Passed:
    """A file that is neither photo nor text; `suffix` in small letters, empty for none."""

    suffix: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A photo or text on disk. `size` is in bytes, `mtime_ns` in nanoseconds since 1970.

    `location` is its path as text: of most files an index run asks no more, and a `Path` costs
    more than looking at the file. `sidecar` is the `.xmp` file beside a photo, `sidecar_ns` the
    time of its last change. `also` are the names of the files of the same shot that follow it, see
    `indexer.companions`.
    """

    location: str
    kind: Kind
    size: int
    mtime_ns: int
    sidecar: Path | None = None
    sidecar_ns: int = 0
    also: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.location)


def walk(
    roots: Sequence[Path], *, options: WalkOptions, apart: Sequence[Path] = ()
) -> Iterator[Found | Skip | Passed]:
    """Yield every photo and text below `roots` once, however the roots overlap or link.

    Args:
        roots: folders or single files. Give resolved paths: a file is known by its path.
        options: what to pass over, beside what `.twinlensignore` files name.
        apart: folders never entered, such as the library itself.

    Yields:
        A `Found` for each photo and text, told by its suffix or, where that is unknown, by its
        first bytes; a `Skip` for each folder or file that the system will not let us look at and
        each link that leads nowhere; a `Passed` for each other file, but for sidecars.
    """
    entered = {_identity(folder) for folder in apart if folder.is_dir()}
    named = dict.fromkeys(os.fspath(root) for root in roots if not root.is_dir())
    for path in map(Path, named):
        beside = (path.with_name(path.name + SIDECAR), path.with_suffix(SIDECAR))
        there = [os.fspath(each) for each in beside if os.path.exists(each)]  # noqa: PTH110
        yield from _look(os.fspath(path), _sidecars(there))
    folders = deque(_Folder(path=root) for root in roots if root.is_dir())
    links: deque[_Folder] = deque()
    while folders or links:
        folder = (folders or links).popleft()
        try:
            below = _enter(folder, entered, options)
        except OSError as error:
            yield Skip(path=Path(error.filename), reason=_reason(error))
            continue
        except FileUnreadable as error:
            yield Skip(path=folder.path, reason=f"{IGNORE_FILE}: {error}")
            continue
        yield from (Skip(path=path, reason="a link that leads nowhere") for path in below.broken)
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
    """A folder to enter, and what its parent leaves out; None for a root."""

    path: Path
    ignore: Ignore | None = None


@dataclass(frozen=True, kw_only=True)
class _Below:
    """What one folder holds, each list sorted by name; files as in `Found.location`."""

    folders: list[_Folder]
    links: list[_Folder]
    files: list[str]
    broken: list[Path]


def _enter(folder: _Folder, entered: set[Identity], options: WalkOptions) -> _Below:
    """List a folder the first time it is met; a second time, by a link or a loop, nothing."""
    below = _Below(folders=[], links=[], files=[], broken=[])
    identity = _identity(folder.path)
    if identity in entered:
        return below
    entered.add(identity)
    with os.scandir(folder.path) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    ignore = Ignore.above(folder.path) if folder.ignore is None else folder.ignore
    if any(entry.name == IGNORE_FILE for entry in entries):
        ignore = ignore.within(folder.path)
    for entry in entries:
        if _is_passed_over(entry, options, ignore):
            continue
        if entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110 -- never raises
            below.broken.append(Path(entry.path))
        elif not _is_dir(entry):
            below.files.append(entry.path)
        else:
            known = below.links if entry.is_symlink() else below.folders
            known.append(_Folder(path=Path(entry.path), ignore=ignore))
    return below


def _is_dir(entry: os.DirEntry[str]) -> bool:
    """Tell a folder, or a link to one; a link that leads in a circle is none."""
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()  # noqa: PTH112


def _is_passed_over(entry: os.DirEntry[str], options: WalkOptions, ignore: Ignore) -> bool:
    """Tell whether a name is not looked at: hidden, excluded, or ignored."""
    if entry.name.startswith(".") and not options.include_hidden:
        return True
    is_dir = _is_dir(entry)
    if is_dir and is_excluded(entry.path, options.exclude_dirs):
        return True
    return ignore.covers(entry.path, is_dir=is_dir)


def _sidecars(files: Iterable[str]) -> dict[str, str]:
    """Return the sidecars among the files of a folder, by name in small letters."""
    return {_name(each).lower(): each for each in files if each.lower().endswith(SIDECAR)}


def _look(
    location: str, sidecars: Mapping[str, str], also: tuple[str, ...] = ()
) -> Iterator[Found | Skip | Passed]:
    """Yield a file if it is a photo or text; pipes and devices are neither."""
    kind = kind_in(location)
    if kind is None:
        if suffix_of(location) not in SIDECAR_SUFFIXES:
            yield Passed(suffix=suffix_of(location))
        return
    try:
        status = os.stat(location)  # noqa: PTH116 - a str, see `Found`
    except FileNotFoundError:
        return
    except OSError as error:
        yield Skip(path=Path(location), reason=_reason(error))
        return
    if stat.S_ISREG(status.st_mode):
        sidecar, sidecar_ns = None, 0
        if sidecars and kind == Kind.PHOTO:
            sidecar, sidecar_ns = _beside((_name(location), *also), sidecars)
        yield Found(
            location=location,
            kind=kind,
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            sidecar=sidecar,
            sidecar_ns=sidecar_ns,
            also=also,
        )


def _beside(shot: Sequence[str], sidecars: Mapping[str, str]) -> tuple[Path | None, int]:
    """Return a shot's sidecar and when it changed; a whole name goes before a stem."""
    names = [f"{name}{SIDECAR}".lower() for name in (*shot, shot[0].rpartition(".")[0])]
    sidecar = next((Path(sidecars[name]) for name in names if name in sidecars), None)
    try:
        return sidecar, sidecar.stat().st_mtime_ns if sidecar else 0
    except OSError:
        return None, 0


def _name(location: str) -> str:
    """Return the last part of a path."""
    return location.rpartition(os.sep)[2]


def _identity(folder: Path) -> Identity:
    """Name a folder by device and inode, or by path on file systems that number nothing."""
    status = folder.stat()
    return status.st_dev, status.st_ino or str(folder)


def _reason(error: OSError) -> str:
    """Say why the system refused, in its own words: "permission denied"."""
    return (error.strerror or str(error)).lower()

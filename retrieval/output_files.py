"""Write files for people: completely or not at all, and never over another kind of file.

A file is written under a temporary name in its folder and then renamed in one step. So a full
disk, a lost drive or a killed process leaves no half-written file. The temporary file of a killed
process is deleted by the next process that writes into that folder; a lock shows that no other
process is writing it.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Any

from indexer.core.errors import TwinlensError, UsageError

PAGE_MARK = '<meta name="generator" content="twinlens">'
"""Stands in the head of every contact sheet, by which it is known again."""

_PAGE_HEAD = 4096  # bytes in which the mark stands
_PAGES = frozenset({".html", ".htm", ".xhtml"})

_PREFIX, _SUFFIX = ".twinlens-", ".part"
_PARTS = f"{_PREFIX}{'[0-9a-f]' * 16}{_SUFFIX}"
_LONGEST = 255  # bytes of a name on the file systems of Linux

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL, errno.EACCES}
"""What a file system answers that has no hard links: FAT, exFAT, some network shares."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
"""How a formula of a spreadsheet may begin, wide characters too; and the apostrophe itself."""


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Give a temporary file to write; on leaving, it takes the place of `path`.

    If `path` is a link to a file, the file that it points to is replaced, and the link stays.

    Raises:
        TwinlensError: the disk is full, the folder is missing or closed to us.
    """
    target = path.resolve()
    try:
        with _part(target.parent) as part:
            yield part
            _sync(part)
            part.replace(target)
    except OSError as error:
        raise _refused(path, error) from error


def write_json(path: Path, plain: dict[str, Any]) -> None:
    """Write plain values as a JSON file for people: indented, with a newline at its end.

    Raises:
        TwinlensError: the file cannot be written.
    """
    with written(path) as part:
        part.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


def place(folder: Path, name: str, fill: Callable[[Path], object]) -> Path:
    """Write a new file under the first free name of NAME, NAME-2, NAME-3 and so on.

    Args:
        folder: where to; it must exist.
        name: of the file.
        fill: writes the content into the path that it is given.

    Returns:
        The path of the file. Nothing that was in the folder is overwritten.

    Raises:
        TwinlensError: the disk is full or the folder is closed to us.
    """
    try:
        with _part(folder) as part:
            fill(part)
            _sync(part)
            return _named(part, folder, name)
    except OSError as error:
        raise _refused(folder / name, error) from error


def free_names(folder: Path, name: str) -> Iterator[Path]:
    """Yield the paths NAME, NAME-2, NAME-3 and so on, each short enough for a file system."""
    stem, suffix = Path(name).stem, Path(name).suffix
    yield folder / name
    for number in count(2):
        end = f"-{number}{suffix}"
        room = max(1, len(os.fsencode(name)) - len(os.fsencode(end)))
        fits = len(os.fsencode(stem + end)) <= _LONGEST
        yield folder / ((stem if fits else os.fsdecode(os.fsencode(stem)[:room])) + end)


def cell(text: str) -> str:
    """Return a text as a CSV cell that no spreadsheet takes for a formula.

    A text that begins like a formula, or with an apostrophe, gets an apostrophe in front. Whoever
    reads the file takes one apostrophe off each text that begins with one, and has the text again.

    Source: OWASP, CSV injection.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def check_page(path: Path) -> None:
    """Refuse to write a page over a file that is none.

    Raises:
        UsageError: a photo, a folder or another file is there, or there is no such folder.
    """
    try:
        if not path.resolve().parent.is_dir():
            raise UsageError(
                f"no folder at '{path.parent}' to write '{path.name}' in; create it first"
            )
        taken = path.exists() and not _is_page(path)
    except OSError as error:
        raise UsageError(f"cannot write '{path}': {error.strerror or error}") from error
    if taken:
        raise UsageError(
            f"'{path}' exists and is not a contact sheet; choose a new name that ends in .html"
        )


def _is_page(path: Path) -> bool:
    """Return whether a file may be replaced: a page, an older contact sheet, or an empty file.

    For a link, its target counts, because that is written. A page is a text.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_PAGE_HEAD)
    is_page = path.resolve().suffix.lower() in _PAGES and b"\0" not in head
    return is_page or not head or PAGE_MARK.encode() in head


@contextmanager
def _part(folder: Path) -> Iterator[Path]:
    """Make an empty temporary file; it is gone afterwards unless it was renamed."""
    _sweep(folder)
    part = folder / f"{_PREFIX}{token_hex(8)}{_SUFFIX}"
    lock = None
    try:
        part.touch(exist_ok=False)
        with suppress(OSError):  # a file system without locks takes the file all the same
            lock = _locked(part)
        yield part
    finally:
        if lock is not None:
            os.close(lock)
        with suppress(OSError):
            part.unlink(missing_ok=True)


@cache
def _sweep(folder: Path) -> None:
    """Delete the temporary files of killed processes, once in each folder."""
    for part in folder.glob(_PARTS):
        with suppress(OSError):  # another process writes it, or we may not
            lock = _locked(part)
            if lock is not None:
                part.unlink(missing_ok=True)
                os.close(lock)


def _locked(part: Path) -> int | None:
    """Lock a temporary file; return what to close, None where there are no locks.

    Raises:
        OSError: another process holds it, or it is no regular file.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    file = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file


def _named(part: Path, folder: Path, name: str) -> Path:
    """Give a finished file the first free name."""
    for target in free_names(folder, name):
        try:
            _name(part, target)
        except FileExistsError:
            continue
        return target
    raise AssertionError("names do not end")  # pragma: no cover


def _name(part: Path, target: Path) -> None:
    """Give a finished file a name that is free.

    Raises:
        FileExistsError: it is taken.
    """
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        target.touch(exist_ok=False)  # takes the name, or finds it taken
        part.replace(target)


def _sync(part: Path) -> None:
    """Wait until a file is on the disk; on some file systems only this tells that it is full."""
    with suppress(PermissionError), part.open("rb" if os.name == "posix" else "r+b") as file:
        os.fsync(file.fileno())


def _refused(path: Path, error: OSError) -> TwinlensError:
    """Say which file cannot be written, why, and what to do."""
    why = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TwinlensError(
            f"cannot write '{path}': {why}; free some space, or name another folder"
        )
    return TwinlensError(f"cannot write '{path}': {why}")

"""The error tree of twinlens.

    TwinlensError                    1   the command failed
    ├── UsageError                   2   the request itself is wrong
    ├── LibraryMissing              10   no library where one was named
    ├── LibraryDamaged              11   a file of the library is missing or broken
    │   ├── ModelMismatch           11   the library was built with another model
    │   └── LibraryTooNew           11   written by a newer twinlens
    ├── LibraryLocked               12   another process is writing
    ├── FileUnreadable               –   one photo or text; skipped, counted and listed
    │   └── Unaffordable             –   it takes more memory than there is here
    └── (retrieval.errors)               ModelUnavailable, PairsInvalid, TrainingFailed, …

A message says what, which (path, value) and what next. Library code raises; only the
command line prints or exits, with the `exit_code` of the class.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path


class TwinlensError(Exception):
    """The root: anything twinlens raises on purpose."""

    exit_code = 1


class UsageError(TwinlensError):
    """The request itself is wrong: an empty query, a folder that does not exist."""

    exit_code = 2


class LibraryMissing(TwinlensError):
    """There is no library at the named folder."""

    exit_code = 10


class LibraryDamaged(TwinlensError):
    """A file of the library is missing, truncated or does not match the catalog.

    Args:
        path: the file.
        fault: what is wrong with it; the message begins with both.
        remedy: what to do about it.
    """

    exit_code = 11

    def __init__(self, path: Path, fault: str, remedy: str) -> None:
        super().__init__(f"{path} {fault}; {remedy}")
        self.path, self.fault, self.remedy = path, fault, remedy


class ModelMismatch(LibraryDamaged):
    """The library was built with another model than the one asked for."""


class LibraryTooNew(LibraryDamaged):
    """The library was written by a newer format than this version reads."""


class LibraryLocked(TwinlensError):
    """Another process is writing to the library."""

    exit_code = 12


class FileUnreadable(TwinlensError):
    """One file cannot be read as a photo or a text; `str(error)` is the reason."""


class Unaffordable(FileUnreadable):
    """A file takes more memory than this machine gives to decoding; another may read it."""


def mending(library: Path) -> str:
    """Say how to repair a library."""
    return f"repair it with: twinlens check --repair --library {library}"


def way_out(library: Path) -> str:
    """Say what to do about a library that cannot be repaired; its photos are not damaged."""
    return f"delete {library} and run: twinlens index FOLDER --library {library}"


def explained(error: OSError, path: str | os.PathLike[str]) -> str:
    """Say what the system answered, and what to do about a file or folder that is closed to us."""
    said = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{said}; {permit(path)}"
    if error.errno == errno.EROFS:
        return f"{said}; choose a folder on another disk"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{said}; free some space there"
    return said


def permit(path: str | os.PathLike[str]) -> str:
    """Say how access to a file or folder is given."""
    return f"its owner can give you access with: chmod -R u+rwX '{os.fspath(path)}'"


def is_open(path: Path, mode: int) -> bool:
    """Return whether the effective user may use a file or folder in a mode of `os.access`."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)

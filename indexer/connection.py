"""The connection to SQLite that reads and writes a catalog, and what its failures mean."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryFile

from indexer.errors import LibraryDamaged, LibraryLocked, TwinlensError, mending

_SCARCE = 1 << 20  # bytes: where fewer are free, it is tried whether that is enough
_ROOM = 1 << 16


def connected(path: Path, *, mode: str = "rw") -> sqlite3.Connection:
    """Connect to SQLite. Mode "rw" never creates a file, "rwc" does.

    Raises:
        sqlite3.Error: see `failure`.
    """
    fixed = "&immutable=1" if _is_fixed(path) else ""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}{fixed}",
        uri=True,
        check_same_thread=False,
        isolation_level=None,  # BEGIN is ours, so that reads share one snapshot too
    )
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA journal_mode=WAL")
    # A merge deletes old files once its commit is on the disk; NORMAL could lose that commit.
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def failure(path: Path, error: BaseException) -> TwinlensError:
    """Say what a failure of SQLite means to a person."""
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LibraryLocked(f"{path} is busy; another process is writing. Try again")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")):
        why = "the disk is full" if is_full(path.parent) else error
        return TwinlensError(f"cannot use {path}: {why}; see to the disk and its permissions")
    if _is_of_the_request(name, error):
        return TwinlensError(
            f"the library is whole, but SQLite cannot do this with it ({error}); use fewer or "
            "shorter filters, or report what you did"
        )
    return LibraryDamaged(path, f"is broken ({error})", mending(path.parent))


_LIMITS = ("too many", "too large", "too big", "too complex", "stack overflow", "parser stack")
"""What SQLite says of a statement or a value that is beyond one of its limits."""


def _is_of_the_request(name: str, error: BaseException) -> bool:
    """Tell whether a value or a statement is to blame, and not the file.

    What Python's own `sqlite3` refuses (a number of more than 64 bits, half a character) has not
    even reached the database.
    """
    if not isinstance(error, sqlite3.DatabaseError):
        return isinstance(error, OverflowError | UnicodeEncodeError | sqlite3.InterfaceError)
    if name.startswith(("SQLITE_TOOBIG", "SQLITE_RANGE", "SQLITE_MISUSE")):
        return True
    is_general = name in ("", "SQLITE_ERROR")
    return is_general and any(limit in str(error).lower() for limit in _LIMITS)


def is_full(folder: Path) -> bool:
    """Tell whether a disk has no room for the two small files that SQLite makes to read."""
    free = shutil.disk_usage(folder).free
    if free >= _SCARCE:
        return False
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM))
    except OSError:
        return True
    return False


def _is_fixed(path: Path) -> bool:
    """Tell whether a catalog lies where nobody can write: SQLite must not make its files there."""
    effective = os.access in os.supports_effective_ids
    writable = os.access(path.parent, os.W_OK, effective_ids=effective)
    closed = not writable or is_full(path.parent)
    return closed and not path.with_name(path.name + "-wal").exists()

"""The connection to SQLite that reads and writes a catalog, and what its failures mean."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import quote

from indexer.errors import LibraryDamaged, LibraryLocked, TwinlensError, is_open, mending, permit
from indexer.letters import same

_SCARCE = 1 << 20  # bytes: where fewer are free, it is tried whether that is enough
_ROOM = 1 << 16


def connected(path: Path, *, mode: str = "rw") -> sqlite3.Connection:
    """Connect to SQLite. Mode "rw" never creates a file, "rwc" does.

    Raises:
        sqlite3.Error: see `failure`.
    """
    fixed = "&immutable=1" if _is_fixed(path) else ""
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode={mode}{fixed}",
        uri=True,
        check_same_thread=False,
        isolation_level=None,  # BEGIN is ours, so that reads share one snapshot too
    )
    connection.create_function("same", 1, _same, deterministic=True)
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA journal_mode=WAL")
    # A merge deletes old files once its commit is on the disk; NORMAL could lose that commit.
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _same(text: str | None) -> str | None:
    """Return a text as filters compare it; nothing of nothing."""
    return None if text is None else same(text)


def failure(path: Path, error: BaseException) -> TwinlensError:
    """Say what a failure of SQLite means to a person."""
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LibraryLocked(f"{path} is busy; another process is writing. Try again")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")):
        if not _is_open(path):
            return TwinlensError(f"cannot use {path}: {error}; {permit(path.parent)}")
        why = "the disk is full" if is_full(path.parent) else error
        return TwinlensError(f"cannot use {path}: {why}; see to the disk and its permissions")
    return LibraryDamaged(path, f"is broken ({error})", mending(path.parent))


def _is_open(path: Path) -> bool:
    """Tell whether a catalog may be read, and its folder be entered."""
    if not is_open(path.parent, os.X_OK):
        return not path.parent.exists()
    return is_open(path, os.R_OK) or not path.exists()


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

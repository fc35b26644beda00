"""The SQLite connection of a catalog, and the errors that its failures become.

SQLite needs two files beside a catalog to read it while another process writes. In a folder without
write permission it cannot create them. There the catalog is opened as an immutable file.
`Connection.is_stale` says when that file has changed on the disk; the connection is then renewed.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeAlias, TypeVar

from indexer.core.errors import (
    LibraryDamaged,
    LibraryLocked,
    TwinlensError,
    is_open,
    mending,
    permit,
)
from indexer.core.text_normalization import same

CHUNK = 500
"""Values in one IN (...); SQLite allows 32,766, and more gains nothing."""

T = TypeVar("T")

_SCARCE = 1 << 20  # bytes: where fewer are free, it is tried whether that is enough
_ROOM = 1 << 16

_PATIENCE_SECONDS = 2.0
"""A writer that begins or ends makes and deletes SQLite's files; that takes milliseconds."""

_WRITER_SECONDS = 30.0
READER_SECONDS = 2.0
"""So long a statement waits for another process's lock. No writer of ours locks readers out."""

_PAUSE_SECONDS = 0.01

_PASSING = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL", "SQLITE_CANTOPEN")
_PASSING_TO_A_READER = ("SQLITE_READONLY_", "SQLITE_IOERR_SHM", "SQLITE_IOERR_LOCK")
_DISK = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_AUTH")
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "SQLITE_CONSTRAINT")
_DAMAGED_SCHEMA = (
    *("no such", "malformed", "decode", "corrupt", "fts5", "vtable", "has no column"),
    *("unsupported", "syntax error", "unrecognized token", "may not be modified"),
)
_LIMITS = ("too many", "too large", "too big", "too complex", "stack overflow", "parser stack")
"""What SQLite says of a statement or a value that is beyond one of its limits."""

Seen: TypeAlias = tuple[tuple[int, int, int] | None, ...]
"""Number, size and date of the files of a catalog; None for one that is missing."""


class Connection(sqlite3.Connection):
    """A connection that knows whether it still reads the current file."""

    catalog: Path | None = None
    seen: Seen | None = None

    def is_stale(self) -> bool:
        """Return whether a catalog that is read as it lay has changed since."""
        return self.seen is not None and _seen(self.catalog) != self.seen


def connected(path: Path, *, mode: str = "rw", wait: float = _WRITER_SECONDS) -> Connection:
    """Connect to SQLite, and try again where a writer just begins or ends.

    Args:
        path: of the catalog.
        mode: "rw" never creates a file, "rwc" does.
        wait: seconds in which another process may unlock the catalog.

    Raises:
        sqlite3.Error: see `failure`.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return _connected(path, mode, wait)
        except sqlite3.Error as error:
            if not is_passing(error) or time.monotonic() > until:
                raise
        time.sleep(_PAUSE_SECONDS)


def patience() -> float:
    """Return until when to try again, as `time.monotonic` counts."""
    return time.monotonic() + _PATIENCE_SECONDS


def is_worth_another(error: BaseException, until: float) -> bool:
    """Return whether to try again after a failure, and wait for a moment if so."""
    if not is_passing(error) or time.monotonic() > until:
        return False
    time.sleep(_PAUSE_SECONDS)
    return True


def is_passing(error: BaseException) -> bool:
    """Return whether a failure may pass in a moment: another process opens, closes or commits."""
    name = str(getattr(error, "sqlite_errorname", ""))
    return name.startswith(_PASSING + _PASSING_TO_A_READER)


def _same(text: str | None) -> str | None:
    """Return a text as filters compare it; nothing of nothing."""
    return None if text is None else same(text)


def _written_in(place: str, names: str, ends: str) -> bool:
    """Tell whether a place such as "Orvieto, Italy" holds one of some names, and ends with one."""
    parts = [part.strip() for part in same(place).split(",")]
    return parts[-1] in ends.split(",") and not set(names.split(",")).isdisjoint(parts)


def failure(path: Path, error: BaseException) -> TwinlensError:
    """Turn a failure of SQLite into an error with a message for people."""
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LibraryLocked(f"{path} is busy; another process is writing. Try again")
    if name.startswith(_DISK):
        if not _is_open(path):
            return TwinlensError(f"cannot use {path}: {error}; {permit(path.parent)}")
        why = "the disk is full" if is_full(path.parent) else error
        return TwinlensError(f"cannot use {path}: {why}; check the disk and its permissions")
    if _is_damage(name, error):
        return LibraryDamaged(path, f"is broken ({_message(error)})", mending(path.parent))
    return TwinlensError(
        f"SQLite cannot run this request ({_message(error)}); the library itself is intact. Use "
        "fewer or shorter filters, or report what you did"
    )


def _is_open(path: Path) -> bool:
    """Return whether a catalog may be read, and its folder be entered."""
    if not is_open(path.parent, os.X_OK):
        return not path.parent.exists()
    return is_open(path, os.R_OK) or not path.exists()


def is_full(folder: Path) -> bool:
    """Return whether a disk has no room for the two small files that SQLite makes to read."""
    free = shutil.disk_usage(folder).free
    if free >= _SCARCE:
        return False
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM))
    except OSError:
        return True
    return False


def _is_damage(name: str, error: BaseException) -> bool:
    """Return whether a failure is one of the file; others are of what was asked."""
    if isinstance(error, UnicodeDecodeError) or name.startswith(_DAMAGE):
        return True
    if isinstance(error, OverflowError | sqlite3.DataError | MemoryError):
        return False
    said = str(error).lower()
    is_beyond = any(limit in said for limit in _LIMITS)
    return not is_beyond and any(part in said for part in _DAMAGED_SCHEMA)


def _message(error: BaseException) -> str:
    """Say in a few words what SQLite said."""
    if isinstance(error, UnicodeDecodeError):
        return "one of its texts is not UTF-8"
    return str(error)


def _connected(path: Path, mode: str, wait: float) -> Connection:
    """Connect to SQLite in the way that the folder allows."""
    way, seen = _way(path)
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}{way}",
        uri=True,
        check_same_thread=False,
        isolation_level=None,  # BEGIN is ours, so that reads share one snapshot too
        factory=Connection,
    )
    try:
        connection.catalog, connection.seen = path, seen
        connection.create_function("same", 1, _same, deterministic=True)
        connection.create_function("written_in", 3, _written_in, deterministic=True)
        connection.execute(f"PRAGMA busy_timeout={round(1_000 * wait)}")
        if way == _ALONE:  # keeps in memory what would lie in the missing file
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=WAL")
        # A merge deletes old files once its commit is on the disk; NORMAL could lose that commit.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")  # what was forgotten is overwritten
        connection.execute("PRAGMA temp_store=MEMORY")
        if mode == "rw":
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


_IMMUTABLE = "&immutable=1"
_ALONE = "&vfs=win32-none" if os.name == "nt" else "&vfs=unix-none"


def _way(path: Path) -> tuple[str, Seen | None]:
    """Return how SQLite has to open a catalog, and what lies there where it reads that alone.

    Where nobody can write, SQLite must not make its files. A log of commits that a killed writer
    left is read all the same.
    """
    log, index = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    if not _is_closed(path.parent) or index.exists():
        return "", None
    seen = _seen(path)
    return (_ALONE if log.exists() else _IMMUTABLE), seen


def _is_closed(folder: Path) -> bool:
    """Return whether no file can be made in a folder."""
    effective = os.access in os.supports_effective_ids
    return not os.access(folder, os.W_OK, effective_ids=effective) or is_full(folder)


def _seen(path: Path | None) -> Seen:
    """Look at the files of a catalog."""
    if path is None:
        return ()
    return tuple(_status(path.with_name(path.name + end)) for end in ("", "-wal", "-shm"))


def _status(path: Path) -> tuple[int, int, int] | None:
    """Return number, size and date of a file; None if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut values into runs that fit one statement."""
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))

"""Thumbnails that were made, kept in one SQLite file beside the catalog.

```
LIBRARY/thumbnails.sqlite
  thumbnails: digest (of the file's content), name (pixels, frame), bytes, used (hours), webp
```

It is a cache: if it is broken, it is started again. Where the folder cannot be written to, nothing
is kept. What has not been used for longest goes first.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from indexer.catalog.connection import failure
from indexer.core.permissions import file_mode

THUMBNAILS = "thumbnails.sqlite"

DEFAULT_BYTES = 1 << 30
"""About 80,000 thumbnails of 256 pixels, or 15,000 of 1,024."""

_MADE = 1
"""How thumbnails are made. It is part of their version: a higher one makes all anew."""

_TABLE_VERSION = 1 + 1_000 * _MADE
"""Of the table, and of what is in it."""

_VERSION_BYTES = 12  # of a digest
_SHRUNK = 0.9  # of the limit is left after the oldest ones went
_COUNTED_EACH = 64  # thumbnails: others write, too
_HOUR = 3600
_PATIENCE = 2.0  # seconds that another process may hold the file
_PAGES_BACK = 2_000  # freed pages that are given back to the disk at a time
_TABLE = """
    CREATE TABLE thumbnails (
        digest BLOB NOT NULL, name TEXT NOT NULL, bytes INTEGER NOT NULL, used INTEGER NOT NULL,
        webp BLOB NOT NULL, PRIMARY KEY (digest, name)
    );
    CREATE INDEX thumbnails_used ON thumbnails (used, bytes);"""

T = TypeVar("T")


def thumbnail_version(digest: bytes) -> str:
    """Return the version of the thumbnails of a content; it stands in their addresses."""
    return f"{_MADE}{digest[:_VERSION_BYTES].hex()}"


class ThumbnailCache:
    """The thumbnails of a library that were made. Any thread and any process may use it.

    Args:
        folder: of the library.
        limit: bytes of all thumbnails; nothing is kept for 0.
    """

    def __init__(self, folder: Path, limit: int = DEFAULT_BYTES) -> None:
        self._path, self._limit = folder / THUMBNAILS, limit
        self._lock = threading.Lock()
        self._sqlite: sqlite3.Connection | None = None
        self._inode = 0
        self._uncounted = 0

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def get(self, digest: bytes, name: str) -> bytes:
        """Return a thumbnail; nothing if it is not kept.

        Args:
            digest: of the content of the file that it shows.
            name: which thumbnail of that file.
        """
        return self._try(lambda sqlite: _found(sqlite, digest, name), make=False) or b""

    def put(self, digest: bytes, name: str, webp: bytes) -> None:
        """Keep a thumbnail, if there is room."""
        if len(webp) > self._limit:
            return
        self._try(lambda sqlite: self._insert(sqlite, digest, name, webp), make=True)

    def keep_only(self, digests: Iterable[bytes]) -> None:
        """Drop all thumbnails but those of some contents; they are overwritten on the disk.

        Raises:
            TwinlensError: the file cannot be written to now, so they are still there.
        """
        with self._lock:
            try:
                sqlite = self._opened(make=False)
                if sqlite is not None:
                    _keep_only(sqlite, digests)
            except sqlite3.Error as error:
                if not _is_broken(error):
                    raise failure(self._path, error) from error
                self._start_again()

    def drop(self, digest: bytes) -> None:
        """Drop the thumbnails of one content."""
        self._try(lambda sqlite: _delete(sqlite, {(digest,)}), make=False)

    def _insert(self, sqlite: sqlite3.Connection, digest: bytes, name: str, webp: bytes) -> None:
        """Write one thumbnail, and now and then see whether they are too many."""
        row = (digest, name, len(webp), _now(), webp)
        sqlite.execute("INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?, ?, ?)", row)
        self._uncounted += 1
        if self._uncounted >= _COUNTED_EACH or self._limit < _COUNTED_EACH * len(webp):
            self._uncounted = 0
            _shrink(sqlite, self._limit)

    def _try(self, work: Callable[[sqlite3.Connection], T], *, make: bool) -> T | None:
        """Use the file; where it is broken, start it again; None where it cannot be used."""
        if not self._limit:
            return None
        with self._lock:
            for _ in range(2):
                try:
                    sqlite = self._opened(make=make)
                    return None if sqlite is None else work(sqlite)
                except sqlite3.Error as error:
                    if not _is_broken(error):
                        self._close()
                        return None
                    self._start_again()
        return None

    def _opened(self, *, make: bool) -> sqlite3.Connection | None:
        """Return the connection to the file that is there now; None without one."""
        inode = _inode(self._path)
        if self._sqlite is not None and inode == self._inode:
            return self._sqlite
        self._close()
        if not inode and not make:
            return None
        self._sqlite = _connected(self._path)
        self._inode = _inode(self._path)
        return self._sqlite

    def _close(self) -> None:
        """Close the connection, if there is one."""
        sqlite, self._sqlite = self._sqlite, None
        if sqlite is not None:
            with suppress(sqlite3.Error):
                sqlite.close()

    def _start_again(self) -> None:
        """Delete a broken file."""
        self._close()
        for end in ("", "-wal", "-shm"):
            with suppress(OSError):
                self._path.with_name(self._path.name + end).unlink(missing_ok=True)


def _connected(path: Path) -> sqlite3.Connection:
    """Open the file, and make it if there is none."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            path.chmod(file_mode(path.parent))
    except OSError as error:
        raise sqlite3.OperationalError(str(error)) from error
    sqlite = sqlite3.connect(path, timeout=_PATIENCE, check_same_thread=False, isolation_level=None)
    try:
        sqlite.execute("PRAGMA auto_vacuum=INCREMENTAL")
        sqlite.execute("PRAGMA secure_delete=ON")  # what was forgotten is overwritten
        sqlite.execute("PRAGMA journal_mode=WAL").fetchall()
        sqlite.execute("PRAGMA synchronous=NORMAL")  # a power cut may cost the last thumbnails
        (version,) = sqlite.execute("PRAGMA user_version").fetchone()
        if version != _TABLE_VERSION:
            _lay_out(sqlite)
    except BaseException:
        sqlite.close()
        raise
    return sqlite


def _lay_out(sqlite: sqlite3.Connection) -> None:
    """Make the table; one of another version makes way."""
    sqlite.execute("BEGIN IMMEDIATE")
    try:
        (version,) = sqlite.execute("PRAGMA user_version").fetchone()
        if version != _TABLE_VERSION:  # else another process has just made it
            sqlite.execute("DROP TABLE IF EXISTS thumbnails")
            for statement in _TABLE.split(";")[:2]:
                sqlite.execute(statement)
            sqlite.execute(f"PRAGMA user_version={_TABLE_VERSION}")
        sqlite.execute("COMMIT")
    except BaseException:
        sqlite.execute("ROLLBACK")
        raise


def _found(sqlite: sqlite3.Connection, digest: bytes, name: str) -> bytes:
    """Read one thumbnail, and note that it was used, each hour once."""
    key = (digest, name)
    row = sqlite.execute(
        "SELECT webp, used FROM thumbnails WHERE digest = ? AND name = ?", key
    ).fetchone()
    if row is None:
        return b""
    webp, used = row
    if used != _now():
        with suppress(sqlite3.OperationalError):  # a reader may not write, or another one does
            sqlite.execute(
                "UPDATE thumbnails SET used = ? WHERE digest = ? AND name = ?", (_now(), *key)
            )
    return bytes(webp)


def _keep_only(sqlite: sqlite3.Connection, digests: Iterable[bytes]) -> None:
    """Drop the thumbnails of all contents but some, from the log of SQLite too."""
    kept = {(digest,) for digest in digests}
    gone = set(sqlite.execute("SELECT DISTINCT digest FROM thumbnails")) - kept
    if gone:
        _delete(sqlite, gone)
    (busy, *_), *_ = sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    if busy:
        raise sqlite3.OperationalError("another process is reading the thumbnails")


def _is_broken(error: sqlite3.Error) -> bool:
    """Tell damage from a file that is closed to us, busy, or on a full disk."""
    name = str(getattr(error, "sqlite_errorname", ""))
    return name in ("SQLITE_ERROR", "SQLITE_NOTADB") or name.startswith("SQLITE_CORRUPT")


def _shrink(sqlite: sqlite3.Connection, limit: int) -> None:
    """Drop what was not used for longest, if all takes more than the limit."""
    (total,) = sqlite.execute("SELECT total(bytes) FROM thumbnails").fetchone()
    if total <= limit:
        return
    excess, gone = total - _SHRUNK * limit, []
    for rowid, size in sqlite.execute("SELECT rowid, bytes FROM thumbnails ORDER BY used, rowid"):
        if excess <= 0:
            break
        gone.append((rowid,))
        excess -= size
    sqlite.execute("BEGIN IMMEDIATE")
    sqlite.executemany("DELETE FROM thumbnails WHERE rowid = ?", gone)
    sqlite.execute("COMMIT")
    sqlite.execute(f"PRAGMA incremental_vacuum({_PAGES_BACK})").fetchall()


def _delete(sqlite: sqlite3.Connection, digests: Iterable[tuple[bytes]]) -> None:
    """Drop the thumbnails of some contents, and give their room back."""
    sqlite.execute("BEGIN IMMEDIATE")
    sqlite.executemany("DELETE FROM thumbnails WHERE digest = ?", digests)
    sqlite.execute("COMMIT")
    sqlite.execute("PRAGMA incremental_vacuum").fetchall()


def _now() -> int:
    """Return the hours since 1970."""
    return int(time.time()) // _HOUR


def _inode(path: Path) -> int:
    """Return the number of a file; 0 if there is none."""
    try:
        return os.stat(path).st_ino  # noqa: PTH116 - as fast as can be
    except OSError:
        return 0

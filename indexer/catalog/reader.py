"""Everything that a search reads from the catalog.

It uses plain SQL and Python's own `sqlite3`. SQLAlchemy, which `indexer.catalog.writer` uses, takes
longer to import than a search in a library of 100,000 photos takes.
"""

from __future__ import annotations

import json
import math
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import compress, islice
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from indexer.catalog.connection import (
    Connection,
    connected,
    failure,
    is_passing,
    is_worth_another,
    patience,
)
from indexer.catalog.meta import (
    Ids,
    LibraryMeta,
    VectorSnapshot,
    base_key,
    facts_of,
    plan_key,
    seal_key,
)
from indexer.core.errors import LibraryDamaged, mending
from indexer.core.text_normalization import sought
from indexer.core.types import Kind, Metadata, Record, SegmentRow

WORD = re.compile(r"\w+")
STOP_WORDS = frozenset(
    {"a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "he", "her", "his", "in", "is"}
    | {"it", "its", "my", "of", "on", "or", "our", "she", "that", "the", "their", "they", "this"}
    | {"to", "was", "we", "were", "who", "with", "you", "your"}
    | {"image", "images", "photo", "photos", "picture", "pictures"}
)
"""English words that stand in most captions, or are true of all that is found, and tell nothing."""

_MANY = 64  # words of a query that count
_CHUNK = 500  # values in one IN (...); SQLite allows 32,766, and more gains nothing

_SAME = ("place", "camera", "lens", "rating", "title", "caption", "width", "height")
_LISTS = ("keywords", "also")
_SAID = ("taken", "latitude", "longitude", "keywords", *_SAME)
"""What `photos` says since format 3; `also` came with format 4."""


_UNREADABLE = (sqlite3.Error, ValueError, TypeError, KeyError, OverflowError)
"""What reading a catalog raises where its rows are not what was written."""

T = TypeVar("T")

Holds: TypeAlias = Callable[[Ids], NDArray[np.bool_]]
"""Tells of ids which of them a filter lets through. Shape (n,) each."""


BROKEN = "catalog.sqlite.broken"
"""The name under which a repair keeps a broken catalog."""


def catalog_path(folder: Path) -> Path:
    """Return where the catalog of a library lies."""
    return folder / "catalog.sqlite"


class CatalogReader:
    """The catalog as a search sees it, one commit at a time. Any thread may ask.

    Args:
        path: of the database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._alone = threading.Lock()
        self._sqlite: Connection | None = None  # one transaction at a time

    def close(self) -> None:
        """Close the database."""
        if self._sqlite is not None:
            self._sqlite.close()
            self._sqlite = None

    def facts(self) -> LibraryMeta:
        """Return the library's metadata as of the last commit.

        Raises:
            LibraryTooNew: a newer version wrote them.
            LibraryDamaged: some are missing, or no numbers.
        """
        return facts_of(self._path, self._ask(_meta))

    def noted(self, key: str) -> str:
        """Return one stored value by its key; empty if it was never stored."""
        return self._ask(_meta).get(key, "")

    def snapshot(self, kind: Kind) -> VectorSnapshot:
        """Return what the last commit says about the vectors of a kind."""
        return self._ask(lambda connection: _snapshot(connection, kind))

    def count(self, kind: Kind) -> int:
        """Count the items of a kind."""
        snapshot = self.snapshot(kind)
        return sum(segment.rows for segment in snapshot.segments) - len(snapshot.deleted)

    def records(self, ids: Sequence[int]) -> list[Record]:
        """Return the items of these ids in their order; an id without an item gives none."""
        format_ = self.facts().format
        found = self._ask(lambda connection: _records(connection, ids, format_))
        return [found[id_] for id_ in ids if id_ in found]

    def worded(
        self, text: str, kind: Kind, limit: int, *, among: Holds | None = None, every: bool = False
    ) -> list[tuple[int, float]]:
        """Return ids and BM25 scores of the items of a kind that share words, best first.

        A word score is the item's BM25 over the logarithm of the number of items, so that it
        means the same in a small library and a large one: a rare word counts about 1.

        Args:
            text: the words.
            kind: of the items.
            limit: how many items, at most.
            among: which items may be answered, if not all.
            every: only items that have all the words.
        """
        facts = self.facts()
        old = facts.format < 5
        asked = [(word,) for word in WORD.findall(text.casefold())] if old else sought(text)
        telling = [words for words in dict.fromkeys(asked) if STOP_WORDS.isdisjoint(words)][:_MANY]
        if facts.format < 3 or not telling:
            return []
        expressions = [f"({any_of(words)})" for words in telling]
        values = {
            "asked_words": (" AND " if every else " OR ").join(expressions),
            "asked_kind": kind,
            "asked_limit": limit if among is None else -1,
        }
        found = self._ask(
            lambda connection: list(
                islice(_held(connection.execute(_WORDED, values), among), limit)
            )
        )
        return [(id_, bm25 / math.log(facts.next_id + 1)) for id_, bm25 in found]

    def _ask(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """Read in one transaction: what is read in it is of one commit.

        Where a writer begins or ends beside a reader that may not write, SQLite can fail for a
        moment; then it is asked again.
        """
        with self._alone:
            until = patience()
            while True:
                try:
                    return self._asked(ask)
                except _Changed as changed:
                    if not is_worth_another(changed.reason, until):
                        raise failure(self._path, changed.reason) from changed.reason
                self.close()

    def _asked(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """Read once.

        Raises:
            _Changed: it has to be read again, by a new connection.
        """
        connection = self._current()
        try:
            connection.execute("BEGIN")
            try:
                answer = ask(connection)
            finally:
                connection.execute("ROLLBACK")
        except _UNREADABLE as error:
            raise self._meaning(connection, error) from error
        if connection.is_stale():
            raise _Changed(_busy())
        return answer

    def _current(self) -> Connection:
        """Return a connection to what lies on the disk now."""
        if self._sqlite is not None and self._sqlite.is_stale():
            self.close()
        if self._sqlite is None:
            try:
                self._sqlite = connected(self._path)
            except _UNREADABLE as error:
                raise failure(self._path, error) from error
        return self._sqlite

    def _meaning(self, connection: Connection, error: Exception) -> Exception:
        """Say what it means that something could not be read."""
        if connection.is_stale():
            return _Changed(_busy())
        if is_passing(error):
            return _Changed(error)
        if isinstance(error, sqlite3.Error | UnicodeDecodeError | OverflowError):
            return failure(self._path, error)
        fault = f"is broken (a row cannot be read: {error})"
        return LibraryDamaged(self._path, fault, mending(self._path.parent))


class _Changed(Exception):
    """What was read may be of two commits, or could not be read for a passing reason."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


_WORDED = """
    SELECT words.rowid, -bm25(words) AS score
    FROM words JOIN items ON items.id = words.rowid + 0 JOIN files ON files.id = items.file_id
    WHERE words MATCH :asked_words AND files.kind = :asked_kind
    ORDER BY score DESC, words.rowid LIMIT :asked_limit"""
# "+ 0": else SQLite may ask the index of words again for each item that there is.


def _held(rows: sqlite3.Cursor, among: Holds | None) -> Iterator[tuple[int, float]]:
    """Yield the rows, of id and score, that a filter lets through."""
    while some := rows.fetchmany(_CHUNK):
        ids = np.array([id_ for id_, _ in some], dtype=np.int64)
        yield from some if among is None else compress(some, among(ids).tolist())


def any_of(phrases: Sequence[str]) -> str:
    """Return an expression of FTS5 that matches any of some phrases."""
    return " OR ".join(f'"{each}"' for each in dict.fromkeys(phrases))


def metadata_of(row: Mapping[str, Any]) -> Metadata:
    """Read a row of `photos`; a text's, and one of an older format, say nothing."""
    if row.get("width") is None:
        return Metadata()
    return Metadata(
        taken=datetime.fromisoformat(row["taken"]) if row["taken"] else None,
        latitude=row["latitude"],
        longitude=row["longitude"],
        keywords=tuple(row["keywords"]),
        also=tuple(row.get("also", ())),
        **{name: row[name] for name in _SAME},
    )


def _busy() -> sqlite3.Error:
    """Make the failure that another process is writing."""
    error = sqlite3.OperationalError("another process is writing")
    error.sqlite_errorname = "SQLITE_BUSY"
    return error


def _meta(connection: sqlite3.Connection) -> dict[str, str]:
    """Read all facts."""
    rows = connection.execute("SELECT key, value FROM meta").fetchall()
    return {str(key): str(value) for key, value in rows}


def _snapshot(connection: sqlite3.Connection, kind: Kind) -> VectorSnapshot:
    """Read what the last commit says about the vectors of a kind."""
    meta = _meta(connection)
    named = connection.execute(
        "SELECT number, rows FROM segments WHERE kind = ? ORDER BY number", (kind,)
    )
    segments = [SegmentRow(number=number, kind=kind, rows=int(rows)) for number, rows in named]
    gone = connection.execute("SELECT id FROM deleted WHERE kind = ?", (kind,)).fetchall()
    return VectorSnapshot(
        generation=int(meta["generation"]),
        base=int(meta.get(base_key(kind), 0)),
        plan=meta.get(plan_key(kind), ""),
        seal=meta.get(seal_key(kind), ""),
        segments=tuple(segments),
        deleted=np.array(gone, dtype=np.int64).reshape(-1),
    )


def _records(connection: sqlite3.Connection, ids: Sequence[int], format_: int) -> dict[int, Record]:
    """Read the items of these ids."""
    names, joined = _record_columns(format_)
    found: dict[int, Record] = {}
    for start in range(0, len(ids), _CHUNK):
        some = ids[start : start + _CHUNK]
        wanted = f"items.id IN ({', '.join('?' * len(some))})"
        query = f"SELECT {', '.join(names)} FROM {joined} WHERE {wanted}"
        for row in connection.execute(query, some):
            found[row[0]] = _record(dict(zip(names, row, strict=True)))
    return found


def _record_columns(format_: int) -> tuple[list[str], str]:
    """Return what is read of an item in a catalog of a format, and the tables that say it."""
    names, items = ["items.id", "path", "kind", "text"], "items JOIN files ON files.id = file_id"
    if format_ < 3:
        return names, items
    names = [*names, *_SAID] if format_ < 4 else [*names, *_SAID, "time", "also"]
    return names, f"{items} LEFT JOIN photos USING (file_id)"


def _record(row: dict[str, Any]) -> Record:
    """Turn a row into a record."""
    lists = {name: json.loads(row[name]) for name in _LISTS if row.get(name) is not None}
    return Record(
        id=row["items.id"],
        kind=Kind(row["kind"]),
        path=Path(os.fsdecode(row["path"])),
        text=row["text"],
        about=metadata_of({**row, **lists}),
        time=row.get("time"),
    )

"""What a search reads of the catalog.

In SQL as it is written, by Python's own `sqlite3`: SQLAlchemy, which `indexer.catalog` does all
else with, takes longer to import than a search in a library of 100,000 photos takes.
"""

from __future__ import annotations

import json
import math
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from itertools import compress, islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.connection import connected, failure
from indexer.facts import Facts, Ids, Snapshot, base_key, facts_of, plan_key
from indexer.letters import sought
from indexer.types import Kind, Metadata, Record, SegmentRow

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


Holds: TypeAlias = Callable[[Ids], NDArray[np.bool_]]
"""Tells of ids which of them a filter lets through. Shape (n,) each."""


def catalog_path(folder: Path) -> Path:
    """Return where the catalog of a library lies."""
    return folder / "catalog.sqlite"


class CatalogView:
    """The catalog as a search sees it, one commit at a time. Any thread may ask.

    Args:
        path: of the database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._alone = threading.Lock()

    def close(self) -> None:
        """Let go of the database."""
        if "_sqlite" in vars(self):
            self._sqlite.close()
            del self._sqlite

    def facts(self) -> Facts:
        """Return the facts as of the last commit.

        Raises:
            LibraryTooNew: a newer version wrote them.
            LibraryDamaged: some are missing, or no numbers.
        """
        with self._reading() as connection:
            return facts_of(self._path, _meta(connection))

    def noted(self, key: str) -> str:
        """Return one fact, empty if it was never noted."""
        with self._reading() as connection:
            return _meta(connection).get(key, "")

    def snapshot(self, kind: Kind) -> Snapshot:
        """Return what the last commit says about the vectors of a kind."""
        with self._reading() as connection:
            meta = _meta(connection)
            named = connection.execute(
                "SELECT number, rows FROM segments WHERE kind = ? ORDER BY number", (kind,)
            )
            segments = [SegmentRow(number=number, kind=kind, rows=rows) for number, rows in named]
            gone = connection.execute("SELECT id FROM deleted WHERE kind = ?", (kind,)).fetchall()
        return Snapshot(
            generation=int(meta["generation"]),
            base=int(meta.get(base_key(kind), 0)),
            plan=meta.get(plan_key(kind), ""),
            segments=tuple(segments),
            deleted=np.array(gone, dtype=np.int64).reshape(-1),
        )

    def count(self, kind: Kind) -> int:
        """Count the items of a kind."""
        snapshot = self.snapshot(kind)
        return sum(segment.rows for segment in snapshot.segments) - len(snapshot.deleted)

    def records(self, ids: Sequence[int]) -> list[Record]:
        """Return the items of these ids in their order; an id without an item gives none."""
        names, joined = _record_columns(self.facts().format)
        found: dict[int, Record] = {}
        with self._reading() as connection:
            for start in range(0, len(ids), _CHUNK):
                some = ids[start : start + _CHUNK]
                wanted = f"items.id IN ({', '.join('?' * len(some))})"
                query = f"SELECT {', '.join(names)} FROM {joined} WHERE {wanted}"
                for row in connection.execute(query, some):
                    found[row[0]] = _record(dict(zip(names, row, strict=True)))
        return [found[id_] for id_ in ids if id_ in found]

    def worded(
        self, text: str, kind: Kind, limit: int, *, among: Holds | None = None, every: bool = False
    ) -> list[tuple[int, float]]:
        """Return ids and word scores of the items of a kind that share words, best first.

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
        with self._reading() as connection:
            found = list(islice(_held(connection.execute(_WORDED, values), among), limit))
        return [(id_, bm25 / math.log(facts.next_id + 1)) for id_, bm25 in found]

    @cached_property
    def _sqlite(self) -> sqlite3.Connection:
        """The connection; one transaction at a time."""
        return connected(self._path)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One transaction: what is read in it is of one commit."""
        with self._alone:
            try:
                self._sqlite.execute("BEGIN")
                try:
                    yield self._sqlite
                finally:
                    self._sqlite.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise failure(self._path, error) from error


_WORDED = """
    SELECT words.rowid, -bm25(words) AS score
    FROM words JOIN items ON items.id = words.rowid + 0 JOIN files ON files.id = items.file_id
    WHERE words MATCH :asked_words AND files.kind = :asked_kind
    ORDER BY score DESC, words.rowid LIMIT :asked_limit"""
# "+ 0": else SQLite may ask the index of words anew for each item that there is.


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


def _meta(connection: sqlite3.Connection) -> dict[str, str]:
    """Read all facts."""
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


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

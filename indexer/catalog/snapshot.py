"""Read one commit of a catalog for a search.

This module uses plain SQL and Python's own `sqlite3`. `indexer.catalog.writer` uses SQLAlchemy, but
importing that takes longer than a search in a library of 100,000 photos.
"""

from __future__ import annotations

import json
import math
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import compress, islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.catalog import picture_words
from indexer.catalog.connection import CHUNK, Connection, chunks
from indexer.catalog.meta import (
    Ids,
    LibraryMeta,
    VectorSnapshot,
    base_key,
    facts_of,
    plan_key,
    seal_key,
)
from indexer.core.text_normalization import STOP_WORDS, sought
from indexer.core.types import ItemFile, Kind, Metadata, Record, SegmentRow, TextLine

WORD = re.compile(r"\w+")
_MOST_ID = 2**63  # SQLite takes no larger number

_MANY = 64  # words of a query that count

_SAME = ("place", "camera", "lens", "rating", "title", "caption", "width", "height")
_LISTS = ("keywords", "also")
_PHOTO_COLUMNS = ("taken", "latitude", "longitude", "keywords", *_SAME)
"""Columns of the table `photos` since format 3; `also` was added in format 4."""

Holds: TypeAlias = Callable[[Ids], NDArray[np.bool_]]
"""Returns which of some ids pass a filter. Shape (n,) to (n,)."""


class CatalogSnapshot:
    """One commit of the catalog. Use it only while its transaction is open.

    Args:
        path: of the database.
        connection: to the database, in a transaction.
    """

    def __init__(self, path: Path, connection: Connection) -> None:
        self._path, self.connection = path, connection
        self._vectors: dict[Kind, VectorSnapshot] = {}

    @property
    def generation(self) -> str:
        """Number of the commit, as text."""
        return self.meta.get("generation", "")

    @cached_property
    def meta(self) -> dict[str, str]:
        """The table `meta` by its keys, read once."""
        rows = self.connection.execute("SELECT key, value FROM meta").fetchall()
        return {str(key): str(value) for key, value in rows}

    @cached_property
    def facts(self) -> LibraryMeta:
        """The settings that every library has.

        Raises:
            LibraryTooNew: a newer version wrote them.
            LibraryDamaged: some are missing, or are not numbers.
        """
        return facts_of(self._path, self.meta)

    def vectors(self, kind: Kind) -> VectorSnapshot:
        """Return the segments, deleted ids and saved index of a kind; read once."""
        if kind not in self._vectors:
            self._vectors[kind] = self._read_vectors(kind)
        return self._vectors[kind]

    def _read_vectors(self, kind: Kind) -> VectorSnapshot:
        """Read the segments, deleted ids and saved index of a kind."""
        named = self.connection.execute(
            "SELECT number, rows FROM segments WHERE kind = ? ORDER BY number", (kind,)
        )
        segments = [SegmentRow(number=number, kind=kind, rows=int(rows)) for number, rows in named]
        gone = self.connection.execute("SELECT id FROM deleted WHERE kind = ?", (kind,)).fetchall()
        return VectorSnapshot(
            generation=int(self.meta["generation"]),
            base=int(self.meta.get(base_key(kind), 0)),
            plan=self.meta.get(plan_key(kind), ""),
            seal=self.meta.get(seal_key(kind), ""),
            segments=tuple(segments),
            deleted=np.array(gone, dtype=np.int64).reshape(-1),
        )

    def records(self, ids: Sequence[int]) -> list[Record]:
        """Return the items of these ids in the same order; unknown ids are left out."""
        names, joined = _record_columns(self.facts.format)
        found: dict[int, Record] = {}
        for some in chunks(ids):
            wanted = f"items.id IN ({', '.join('?' * len(some))})"
            query = f"SELECT {', '.join(names)} FROM {joined} WHERE {wanted}"
            for row in self.connection.execute(query, some):
                found[row[0]] = _record(dict(zip(names, row, strict=True)))
        return [found[id_] for id_ in ids if id_ in found]

    def file_of(self, item: int) -> ItemFile | None:
        """Return the file of an item; None if there is no such item."""
        if not 0 <= item < _MOST_ID:
            return None
        time = "time" if self.facts.format >= 4 else "NULL"
        found = self.connection.execute(_FILE.format(time=time), [item]).fetchone()
        if found is None:
            return None
        path, kind, moment, size, mtime_ns, digest = found
        roots = self.connection.execute("SELECT path FROM roots").fetchall()
        return ItemFile(
            path=Path(os.fsdecode(path)),
            kind=Kind(kind),
            time=moment,
            size=size,
            mtime_ns=mtime_ns,
            digest=bytes(digest),
            roots=tuple(Path(os.fsdecode(root)) for (root,) in roots),
        )

    def digests(self) -> set[bytes]:
        """Return the hashes of the contents of all files."""
        return {bytes(digest) for (digest,) in self.connection.execute("SELECT digest FROM files")}

    def of_one_file(self, id_: int) -> list[tuple[int, float | None]]:
        """Return ids and times of all items of the file that an item is of, by id."""
        time = "time" if self.facts.format >= 4 else "NULL"
        own = "(SELECT file_id FROM items WHERE id = ?)"
        query = f"SELECT id, {time} FROM items WHERE file_id = {own} ORDER BY id"
        return self.connection.execute(query, (id_,)).fetchall()

    def word_matches(
        self, text: str, kind: Kind, limit: int, *, among: Holds | None, every: bool
    ) -> list[tuple[int, float]]:
        """Return ids and BM25 scores of the items of a kind that share words, best first.

        See `indexer.catalog.reader.CatalogReader.word_matches`.
        """
        old = self.facts.format < 5
        words = [(word,) for word in WORD.findall(text.casefold())] if old else sought(text)
        telling = [each for each in dict.fromkeys(words) if STOP_WORDS.isdisjoint(each)][:_MANY]
        if self.facts.format < 3 or not telling:
            return []
        expressions = [f"({any_of(each)})" for each in telling]
        joined = (" AND " if every else " OR ").join(expressions)
        columns = "" if self.facts.format < 6 else "{text folders name place} : "
        values = {
            "asked_words": f"{columns}({joined})",
            "asked_kind": kind,
            "asked_limit": limit if among is None else -1,
        }
        found = islice(_passing(self.connection.execute(_WORDED, values), among), limit)
        items = math.log(self.facts.next_id + 1)
        scored = [(id_, bm25 / items) for id_, bm25 in found]
        if kind != Kind.PHOTO or self.facts.format < 6 or not self._has_lines:
            return scored
        return self._with_picture_words(scored, telling, limit, among=among, every=every)

    def _with_picture_words(
        self,
        scored: Sequence[tuple[int, float]],
        words: Sequence[tuple[str, ...]],
        limit: int,
        *,
        among: Holds | None,
        every: bool,
    ) -> list[tuple[int, float]]:
        """Add the photos that show words; one that is also called so counts the higher score."""
        items = self.facts.next_id
        shown = picture_words.matches(self.connection, words, items, every=every)
        if not shown:
            return list(scored)
        ids = np.fromiter(shown, dtype=np.int64)
        passing = ids if among is None else ids[among(ids)]
        best = dict(scored)
        for id_ in passing.tolist():
            best[id_] = max(best.get(id_, 0.0), shown[id_])
        return sorted(best.items(), key=lambda item: (-item[1], item[0]))[:limit]

    @cached_property
    def _has_lines(self) -> bool:
        """Whether any photo shows text, as far as it was read."""
        return self.connection.execute("SELECT 1 FROM lines LIMIT 1").fetchone() is not None

    def lines(self, ids: Sequence[int]) -> dict[int, tuple[TextLine, ...]]:
        """Return the lines of text that photos show, by their ids; those without text give none."""
        found: dict[int, list[TextLine]] = {}
        if self.facts.format < 6 or not self._has_lines:
            return {}
        for some in chunks(ids):
            query = f"{_LINES} WHERE items.id IN ({', '.join('?' * len(some))}) {_IN_ORDER}"
            for id_, text, confidence, box in self.connection.execute(query, some):
                line = TextLine(text=text, confidence=confidence, box=tuple(json.loads(box)))
                found.setdefault(id_, []).append(line)
        return {id_: tuple(lines) for id_, lines in found.items()}


_LINES = """
    SELECT items.id, lines.text, lines.confidence, lines.box
    FROM lines JOIN items ON items.file_id = lines.file_id"""
_IN_ORDER = "ORDER BY items.id, lines.number"


_FILE = """
    SELECT path, kind, {time}, size, mtime_ns, digest
    FROM items JOIN files ON files.id = file_id WHERE items.id = ?"""
_WORDED = """
    SELECT words.rowid, -bm25(words) AS score
    FROM words JOIN items ON items.id = words.rowid + 0 JOIN files ON files.id = items.file_id
    WHERE words MATCH :asked_words AND files.kind = :asked_kind
    ORDER BY score DESC, words.rowid LIMIT :asked_limit"""
# Without "+ 0", SQLite may query the full-text index once for each item.


def _passing(rows: sqlite3.Cursor, among: Holds | None) -> Iterator[tuple[int, float]]:
    """Yield the rows of id and score that pass a filter."""
    while some := rows.fetchmany(CHUNK):
        ids = np.array([id_ for id_, _ in some], dtype=np.int64)
        yield from some if among is None else compress(some, among(ids).tolist())


def any_of(phrases: Sequence[str]) -> str:
    """Return an FTS5 expression that matches any of some phrases."""
    return " OR ".join(f'"{each}"' for each in dict.fromkeys(phrases))


def metadata_of(row: Mapping[str, Any]) -> Metadata:
    """Convert a row of `photos`; texts, and photos of older formats, have no metadata."""
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


def _record_columns(format_: int) -> tuple[list[str], str]:
    """Return the columns of an item in a catalog of some format, and the tables to join."""
    names, items = (
        ["items.id", "path", "kind", "text", "digest"],
        "items JOIN files ON files.id = file_id",
    )
    if format_ < 3:
        return names, items
    names = [*names, *_PHOTO_COLUMNS] if format_ < 4 else [*names, *_PHOTO_COLUMNS, "time", "also"]
    return names, f"{items} LEFT JOIN photos USING (file_id)"


def _record(row: dict[str, Any]) -> Record:
    """Convert a row to a record."""
    lists = {name: json.loads(row[name]) for name in _LISTS if row.get(name) is not None}
    return Record(
        id=row["items.id"],
        kind=Kind(row["kind"]),
        path=Path(os.fsdecode(row["path"])),
        text=row["text"],
        about=metadata_of({**row, **lists}),
        time=row.get("time"),
        digest=bytes(row["digest"]),
    )

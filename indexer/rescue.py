"""A broken catalog is written anew, from the rows that can still be read and the segments.

Ids stand beside each vector, so a rescued row finds its vector again in whatever segment there
is. A file whose row or vector is lost is not in the new catalog; the next index run embeds it.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import Connection, Row, Table, create_engine, select
from sqlalchemy.exc import DatabaseError

from indexer import tables
from indexer.catalog import Catalog
from indexer.changes import Change, KnownFile, NewFile
from indexer.errors import LibraryDamaged
from indexer.facts import FORMAT, Facts, facts_of
from indexer.file_rows import known_file, time_of
from indexer.file_rows import new_file as as_new
from indexer.segments import Segment, SegmentStore, replacing
from indexer.types import Kind, SegmentRow
from indexer.vectors import Ids

BROKEN = "catalog.sqlite.broken"
"""The name under which the broken catalog is kept."""

_GIVE_UP = 40
"""After so many misses, each step twice as wide as the last, the table has ended."""

Items: TypeAlias = Mapping[int, Sequence[Row[Any]]]
"""The rows of the items of each file, by its id."""


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """What can be read of a broken catalog."""

    facts: Facts
    files: list[KnownFile]
    items: Items
    roots: list[Path]


def rescue(folder: Path) -> int:
    """Write the catalog of a library anew; count the files of the old one that are lost.

    Only the one writer may call it. The broken catalog is kept beside the new one. Texts and
    videos are not rescued: whether all passages or frames of one are there cannot be told.

    Raises:
        LibraryDamaged: the catalog says not even what the library was made for.
    """
    catalog, wal = folder / "catalog.sqlite", folder / "catalog.sqlite-wal"
    shutil.copyfile(catalog, folder / BROKEN)
    if wal.exists():
        shutil.copyfile(wal, folder / f"{BROKEN}-wal")
    rows = _read(folder / BROKEN)
    segments = _segments(SegmentStore(folder / "vectors", rows.facts.width))
    kept = _kept(rows, segments)
    with replacing(catalog) as part:
        _write(part, rows, kept, segments)
        wal.unlink(missing_ok=True)  # else SQLite would replay it into the new catalog
        (folder / "catalog.sqlite-shm").unlink(missing_ok=True)
    return len(rows.files) - len(kept)


def _read(broken: Path) -> _Rows:
    """Read every row that can be read."""
    items: dict[int, list[Row[Any]]] = defaultdict(list)
    with _opened(broken) as connection:
        meta = {row.key: row.value for row in connection.execute(select(tables.meta))}
        facts = facts_of(broken.with_name("catalog.sqlite"), meta)
        for row in _rows(connection, tables.items, facts.format):
            items[row.file_id].append(row)
        files = _rows(connection, tables.files, facts.format)
        return _Rows(
            facts=facts,
            files=[file for row in files for file in _file(row)],
            items=items,
            roots=[row.path for row in connection.execute(select(tables.roots))],
        )


@contextmanager
def _opened(path: Path) -> Iterator[Connection]:
    """Open a catalog for reading, even if its end is missing."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        # SQLite reads a file that is shorter than its header says only in this mode.
        connection.execute("PRAGMA writable_schema=ON")
        return connection

    engine = create_engine("sqlite://", creator=connect)
    try:
        with engine.connect() as connection:
            yield connection
    except DatabaseError as error:
        raise LibraryDamaged(path, f"cannot be read ({error.orig})", _BEYOND) from error
    finally:
        engine.dispose()


def _rows(connection: Connection, table: Table, format_: int) -> Iterator[Row[Any]]:
    """Yield the rows of a table by their id; leap over what cannot be read, ever farther."""
    at = misses = 0
    columns = tables.known_in(format_, *table.c)
    while misses < _GIVE_UP:
        query = select(*columns).where(table.c.id > at).order_by(table.c.id)
        with suppress(DatabaseError, TypeError, ValueError):
            for row in connection.execute(query):
                if row.id <= at:
                    break  # zeros where a row was
                at, misses = row.id, 0
                yield row
            else:
                return
        at, misses = at + 2**misses, misses + 1


def _file(row: Row[Any]) -> Iterator[KnownFile]:
    """Turn a row into a file, if it still is one."""
    try:
        yield known_file(row)
    except (TypeError, ValueError):
        return


def _segments(store: SegmentStore) -> list[tuple[SegmentRow, Segment]]:
    """Read all segments that are whole; of two with an id in common, the newer."""
    found: list[tuple[SegmentRow, Segment]] = []
    seen: Ids = np.empty(0, dtype=np.int64)
    for number in sorted(store.numbers(), reverse=True):
        try:
            row, segment = store.survey(number)
        except LibraryDamaged:
            continue
        if not np.isin(segment.ids, seen).any():
            found.append((row, segment))
            seen = np.concatenate([seen, segment.ids])
    return found


def _kept(rows: _Rows, segments: Sequence[tuple[SegmentRow, Segment]]) -> list[NewFile]:
    """Return the photos whose vectors are there, and the files that never had any."""
    held = {id_ for row, each in segments if row.kind == Kind.PHOTO for id_ in each.ids.tolist()}
    kept = []
    for file in rows.files:
        items = rows.items.get(file.id, [])
        is_whole = len(items) == 1 and time_of(items[0]) is None
        is_photo = file.kind == Kind.PHOTO and is_whole and items[0].id in held
        if is_photo or (file.reasons and not items):
            kept.append(as_new(replace(file, stamp=""), items))  # what it says is read anew
    return kept


def _write(
    path: Path,
    rows: _Rows,
    kept: Sequence[NewFile],
    segments: Sequence[tuple[SegmentRow, Segment]],
) -> None:
    """Write a catalog of what was rescued, with counters beyond all that was ever given out."""
    ids = [rows.facts.next_id, *(int(each.ids.max(initial=0)) + 1 for _, each in segments)]
    numbers = [rows.facts.next_segment, *(row.number + 1 for row, _ in segments)]
    facts = replace(rows.facts, format=FORMAT, next_id=max(ids), next_segment=max(numbers))
    path.unlink(missing_ok=True)
    Catalog.create(path, facts)
    catalog = Catalog.open(path)
    try:
        named = [row for row, _ in segments]
        catalog.apply(Change(files=kept, roots=rows.roots, segments=named))
        for kind in Kind:
            theirs = [each.ids for row, each in segments if row.kind == kind]
            catalog.keep_only(kind, np.concatenate([_NONE, *theirs]), without=())
    finally:
        catalog.close()


_NONE: Ids = np.empty(0, dtype=np.int64)

_BEYOND = "it is beyond mending; keep what lies in concepts, delete the rest and index anew"

"""Rebuild a broken catalog from the rows whose checksums match, and from the segments.

Each vector is stored with its id, so a saved row finds its vector again in any segment. The words
are computed again from the rows. A file whose rows or vectors are lost is not in the new catalog;
the next index run embeds it again.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, fields, replace
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from indexer.catalog import row_checksums
from indexer.catalog.changes import FileState, NewFile, Reading, Transaction
from indexer.catalog.meta import FORMAT, LibraryMeta, base_key, facts_of, plan_key, seal_key
from indexer.catalog.reader import BROKEN, catalog_path
from indexer.catalog.snapshot import metadata_of
from indexer.catalog.writer import CatalogWriter
from indexer.core.atomic_io import replacing
from indexer.core.errors import LibraryDamaged
from indexer.core.types import Kind, Metadata, SegmentRow, TextLine
from indexer.library.schema_repair import copies_of_facts, has_all_tables, write_with_schema
from indexer.vectors.flat_index import Ids
from indexer.vectors.segments import Segment, SegmentStore

_GIVE_UP = 40
"""After so many misses, each step twice as wide as the last, the table has ended."""

_UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
_NO_ROW = (TypeError, ValueError, KeyError, AttributeError)

_TYPES = {"path": bytes, "size": int, "mtime_ns": int, "digest": bytes, "reader": str}

_KEYS = {
    **{"items": "id", "photos": "file_id", "tags": "rowid"},
    **{"readings": "file_id", "lines": "rowid"},
}
"""The tables with rows of a file, and a number of each row that only grows."""

_Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """What can be read of a broken catalog.

    Attributes:
        facts: what the library was made for.
        notes: all other facts, but what names saved indexes.
        roots: folders that were indexed.
        files: rows by table, of each file by its id.
        sums: of their rows, by the id of the file.
    """

    facts: LibraryMeta
    notes: dict[str, str]
    roots: list[Path]
    files: dict[int, dict[str, list[_Row]]]
    sums: dict[int, int]


def rescue(folder: Path) -> int:
    """Write the catalog of a library again; count the files of the old one that are lost.

    Only the one writer may call it. The broken catalog is kept beside the new one.

    Raises:
        LibraryDamaged: the catalog says not even what the library was made for.
        TwinlensError: the disk is full or closed to us.
    """
    catalog = catalog_path(folder)
    log = catalog.with_name(f"{catalog.name}-wal")
    _keep(catalog, log, folder / BROKEN)
    rows = _read(folder / BROKEN)
    segments = _segments(SegmentStore(folder / "vectors", rows.facts.width))
    kept = _kept(rows, segments)
    for path in folder.glob("catalog.sqlite.part*"):
        path.unlink(missing_ok=True)  # else SQLite would replay a log of it into the new one
    with replacing(catalog, private=True) as part:
        _write(part, rows, kept, segments)
        log.unlink(missing_ok=True)  # likewise
        catalog.with_name(f"{catalog.name}-shm").unlink(missing_ok=True)
    return len({*rows.files, *rows.sums}) - len(kept)


def _keep(catalog: Path, log: Path, broken: Path) -> None:
    """Copy a broken catalog and its log, unless a repair that was killed has done so."""
    kept_log = broken.with_name(f"{broken.name}-wal")
    was_killed = broken.exists() and kept_log.exists() and not log.exists()
    if was_killed and broken.read_bytes() == catalog.read_bytes():
        return
    kept_log.unlink(missing_ok=True)
    with replacing(broken, private=True) as part:
        shutil.copyfile(catalog, part)
    if log.exists():
        with replacing(kept_log, private=True) as part:
            shutil.copyfile(log, part)


def _read(broken: Path) -> _Rows:
    """Read every row that can be read."""
    with closing(_opened(broken)) as connection:
        meta, roots = _facts(connection, broken)
        facts = facts_of(catalog_path(broken.parent), meta)
        files: dict[int, dict[str, list[_Row]]] = {
            row["id"]: {"files": [row]} for row in _rows(connection, "files", "id")
        }
        for table, key in _KEYS.items():
            for row in _rows(connection, table, key):
                files.get(row["file_id"], {}).setdefault(table, []).append(row)
        noted = {row["file_id"]: row["rows"] for row in _rows(connection, "sums", "file_id")}
    noted.pop(row_checksums.FOLDERS, None)  # the next index run notes the folders again
    named = {key(kind) for kind in Kind for key in (base_key, plan_key, seal_key)}
    apart = {*asdict(facts), *named, row_checksums.COPY}
    return _Rows(
        facts=facts,
        notes={key: value for key, value in meta.items() if key not in apart},
        roots=[Path(os.fsdecode(root)) for root in roots],
        files=files,
        sums=noted,
    )


def _opened(path: Path) -> sqlite3.Connection:
    """Open a catalog for reading, even if its end is missing or its schema is broken."""
    connection = _connected(path)
    if has_all_tables(connection):
        return connection
    part = catalog_path(path.parent).with_suffix(".sqlite.part-schema")
    with closing(connection):
        write_with_schema(path, connection, part)
    return _connected(part)


def _connected(path: Path) -> sqlite3.Connection:
    """Connect to a broken catalog."""
    connection = sqlite3.connect(path)
    connection.text_factory = _text
    # SQLite reads a file that is shorter than its header says only in this mode.
    connection.execute("PRAGMA writable_schema=ON")
    return connection


def _text(data: bytes) -> str:
    """Read a text, whatever its bytes."""
    return data.decode("utf-8", "surrogateescape")


def _facts(connection: sqlite3.Connection, broken: Path) -> tuple[dict[str, str], list[bytes]]:
    """Read facts and roots, from their copy if that is whole, wherever it lies."""
    meta: dict[str, str] = {}
    roots: list[bytes] = []
    try:
        for key, value in connection.execute("SELECT key, value FROM meta"):
            meta[str(key)] = str(value)
        why = "its facts are gone"
    except _UNREADABLE as error:
        why = str(error)
    copy = row_checksums.read_copy(meta.get(row_checksums.COPY, ""))
    copy = copy or max(copies_of_facts(broken), key=attrgetter("generation"), default=None)
    if copy is None and "format" not in meta:
        raise LibraryDamaged(broken, f"cannot be read ({why})", _BEYOND)
    if copy is not None:
        return copy.meta, copy.roots
    with suppress(*_UNREADABLE, TypeError):
        roots = [bytes(path) for (path,) in connection.execute("SELECT path FROM roots")]
    return meta, roots


def _rows(connection: sqlite3.Connection, table: str, key: str) -> Iterator[_Row]:
    """Yield the rows of a table by their number; leap over what cannot be read, ever farther."""
    at = misses = 0
    query = f"SELECT {key}, * FROM {table} WHERE {key} > ? ORDER BY {key}"
    while misses < _GIVE_UP:
        with suppress(*_UNREADABLE, OverflowError):
            cursor = connection.execute(query, (at,))
            names = [column[0] for column in cursor.description[1:]]
            for number, *values in cursor:
                if number <= at:
                    break  # zeros where a row was
                at, misses = number, 0
                yield dict(zip(names, values, strict=True))
            else:
                return
        at, misses = at + 2**misses, misses + 1


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
    """Return the files whose rows are what was written, and whose vectors are there."""
    held = {
        kind: {id_ for row, each in segments if row.kind == kind for id_ in each.ids.tolist()}
        for kind in Kind
    }
    kept: dict[Path, NewFile] = {}
    for id_, theirs in rows.files.items():
        with suppress(*_NO_ROW):
            file = _sure(theirs, rows.sums[id_]) if id_ in rows.sums else _believed(theirs)
            if file is not None and held[file.state.kind].issuperset(file.ids):
                kept[file.state.path] = file
    return list(kept.values())


def _sure(theirs: Mapping[str, list[_Row]], noted: int) -> NewFile | None:
    """Turn rows into a file to add; None if their checksum is another."""
    rows = {
        table: sorted(theirs.get(table, []), key=itemgetter(key))
        for table, key in row_checksums.ORDERS.items()
    }
    values = {table: [tuple(row.values()) for row in each] for table, each in rows.items()}
    if row_checksums.rows_sum(values) != noted:
        return None
    items = rows["items"]
    first = items[0]["id"] if items else 0
    return NewFile(
        state=_state(rows["files"][0]),
        ids=range(first, first + len(items)),
        texts=tuple(item["text"] for item in items),
        times=tuple(item["time"] for item in items if item["time"] is not None),
        about=_about(rows["photos"]),
        reading=_reading(rows["readings"], rows["lines"]),
    )


def _believed(theirs: Mapping[str, list[_Row]]) -> NewFile | None:
    """Turn rows without a checksum into a file to add; None if parts of it may be missing.

    Only a photo, and a file that could not be read, is sure to have all its items. What it says is
    read again.
    """
    (row,), items = theirs["files"], theirs.get("items", [])
    state = replace(_state(row), stamp="", ctime_ns=None, inode=None, sample=None)
    state.reader.encode()  # what is no text cannot be written again
    if state.kind == Kind.PHOTO and len(items) == 1 and items[0].get("time") is None:
        first = items[0]["id"]
        return NewFile(state=state, ids=range(first, first + 1), texts=("",))
    if state.reasons and not items:
        return NewFile(state=state, ids=range(0), texts=())
    return None


def _state(row: _Row) -> FileState:
    """Turn a row into what a file was."""
    known = {field.name: row[field.name] for field in fields(FileState) if field.name in row}
    wrong = [name for name, type_ in _TYPES.items() if not isinstance(row[name], type_)]
    if wrong:
        raise ValueError(f"{wrong[0]} fails its checksum")
    plain = {
        "path": Path(os.fsdecode(row["path"])),
        "kind": Kind(row["kind"]),
        "reasons": tuple(json.loads(row["reasons"])),
    }
    return FileState(**(known | plain))


def _about(rows: Sequence[_Row]) -> Metadata | None:
    """Turn a row into what a photo says about itself."""
    if not rows:
        return None
    lists = {name: json.loads(rows[0].get(name) or "[]") for name in ("keywords", "also")}
    return metadata_of({**rows[0], **lists})


def _reading(rows: Sequence[_Row], lines: Sequence[_Row]) -> Reading | None:
    """Turn rows into what was read in a photo."""
    if not rows:
        return None
    read = (
        TextLine(
            text=line["text"], confidence=line["confidence"], box=tuple(json.loads(line["box"]))
        )
        for line in lines
    )
    return Reading(reader=rows[0]["reader"], lines=tuple(read))


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
    CatalogWriter.create(path, facts)
    catalog = CatalogWriter.open(path)
    try:
        named = [row for row, _ in segments]
        catalog.apply(Transaction(files=kept, roots=rows.roots, segments=named))
        for kind in Kind:
            theirs = [each.ids for row, each in segments if row.kind == kind]
            catalog.keep_only(kind, np.concatenate([_NONE, *theirs]), without=())
        counters = {"next_id": str(facts.next_id), "next_segment": str(facts.next_segment)}
        for key, value in {**rows.notes, **counters}.items():
            catalog.note(key, value)  # the files above got ids that were given out before
    finally:
        catalog.close()


_NONE: Ids = np.empty(0, dtype=np.int64)

_BEYOND = "it cannot be repaired; keep the folder concepts, delete the rest and index again"

"""Checksums of the catalog's rows, since format 5: they detect a bit that flipped on the disk.

SQLite detects a broken page, but not a changed value. So the table `sums` holds two CRC-32 for each
file: one of its rows in `files`, `items`, `photos` and `tags`, and in `readings` and `lines` if it
has any there; and one of its rows in `words`. They
are computed once a commit, for the files that it changed. One more row in `sums` covers `folders`.
The few rows about the whole library (`meta`, `roots`) have a copy with a checksum, so that each can
repair the other.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from zlib import crc32

from indexer.catalog.connection import chunks

COPY = "copy"
"""The fact that holds a copy of all others, of the roots, and a checksum of the schema."""

FOLDERS = 0
"""What stands for the table `folders` where else the id of a file does; those begin at 1."""

_OWNERS = {
    **{"files": "id", "items": "file_id", "photos": "file_id", "tags": "file_id"},
    **{"readings": "file_id", "lines": "file_id"},
}
"""The tables that hold rows of a file, and the column that names it."""

ORDERS = {
    **{"files": "id", "items": "id", "photos": "file_id", "tags": "tag"},
    **{"readings": "file_id", "lines": "number"},
}
"""These tables, and the column by which the rows of one file are ordered."""

_SINCE_6 = frozenset({"readings", "lines"})
"""Tables that format 5 lacks: a file without rows there has the same sum in both formats."""

Rows: TypeAlias = Mapping[str, Sequence[tuple[Any, ...]]]
"""The rows of one file by their table, in the order of `ORDERS`, as SQLite holds them."""


@dataclass(frozen=True, kw_only=True)
class MetaCopy:
    """The copy of the library's metadata: values, roots as bytes, the checksum of the schema."""

    meta: dict[str, str]
    roots: list[bytes]
    schema: int

    @property
    def generation(self) -> int:
        """After how many commits it was written."""
        return int(self.meta.get("generation", 0))


def watch(connection: sqlite3.Connection) -> None:
    """Note from now on which files a transaction changes, whatever statement does it."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS touched (id INTEGER PRIMARY KEY)")
    for event, sides in (("INSERT", ["new"]), ("DELETE", ["old"]), ("UPDATE", ["old", "new"])):
        for table, owner in _OWNERS.items():
            _trigger(connection, f"{event} ON main.{table}", [f"{side}.{owner}" for side in sides])
        _trigger(connection, f"{event} ON main.folders", [str(FOLDERS)])


def _trigger(connection: sqlite3.Connection, change: str, ids: Sequence[str]) -> None:
    """Note these ids, as SQL names them, at each change of a row."""
    name = change.replace(" ON main.", "_")
    noted = "; ".join(f"INSERT OR IGNORE INTO touched VALUES ({id_})" for id_ in ids)
    connection.execute(
        f"CREATE TEMP TRIGGER IF NOT EXISTS {name} AFTER {change} BEGIN {noted}; END"
    )


def seal(connection: sqlite3.Connection) -> None:
    """Compute the sums of the files that this transaction changed, and copy the facts."""
    _sum_up(connection, [id_ for (id_,) in connection.execute("SELECT id FROM touched")])
    connection.execute("DELETE FROM touched")
    seal_facts(connection)


def seal_all(connection: sqlite3.Connection) -> None:
    """Compute the sums of all files: what every migration ends with."""
    connection.execute("DELETE FROM sums")
    _sum_up(connection, [FOLDERS, *(id_ for (id_,) in connection.execute("SELECT id FROM files"))])
    seal_facts(connection)


def seal_facts(connection: sqlite3.Connection) -> None:
    """Copy the facts and the roots."""
    plain = {
        "meta": _meta(connection),
        "roots": [root.hex() for root in _roots(connection)],
        "schema": _schema(connection),
    }
    text = json.dumps(plain, sort_keys=True)
    values = (COPY, f"{crc32(text.encode()):08x} {text}")
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", values)


def read_copy(written: str) -> MetaCopy | None:
    """Read the copy of the facts; None if it is damaged."""
    crc, _, text = written.partition(" ")
    try:
        if crc != f"{crc32(text.encode()):08x}":
            return None
        plain = json.loads(text)
        roots = [bytes.fromhex(root) for root in plain["roots"]]
        return MetaCopy(meta=plain["meta"], roots=roots, schema=plain["schema"])
    except (ValueError, KeyError, TypeError):
        return None


def faults(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield what fails its checksum."""
    rows = connection.execute("SELECT value FROM meta WHERE key = ?", (COPY,)).fetchall()
    copy = read_copy(str(rows[0][0])) if rows else None
    if copy is None:
        yield "the copy of its settings is broken"
    elif (copy.meta, copy.roots) != (_meta(connection), _roots(connection)):
        yield "its settings differ from their copy"
    elif copy.schema != _schema(connection):
        yield "its schema fails its checksum"
    changed = set(_changed(connection))
    if FOLDERS in changed:
        yield "its rows about folders fail their checksum"
    changed.discard(FOLDERS)
    if changed:
        files = "1 file fail" if len(changed) == 1 else f"{len(changed):,} files fail"
        yield f"the rows of {files} their checksums"


def rows_sum(rows: Rows) -> int:
    """Return the checksum of what is known of one file."""
    held = [table for table in _OWNERS if table not in _SINCE_6 or rows[table]]
    return _crc([list(rows[table]) for table in held])


def _there(connection: sqlite3.Connection, names: Iterable[str]) -> list[str]:
    """Return those of some tables that a catalog has."""
    found = connection.execute("SELECT name FROM main.sqlite_master")
    made = {name for (name,) in found}
    return [name for name in names if name in made]


def _changed(connection: sqlite3.Connection) -> Iterator[int]:
    """Yield the ids of files whose rows or words are not what was written."""
    ids = {FOLDERS, *(id_ for (id_,) in connection.execute("SELECT id FROM files"))}
    ids |= {id_ for (id_,) in connection.execute("SELECT file_id FROM sums")}
    for chunk in chunks(sorted(ids)):
        wanted = f"SELECT file_id, rows, words FROM sums WHERE file_id IN ({_marks(chunk)})"
        noted = {id_: sums for id_, *sums in connection.execute(wanted, chunk)}
        found = {id_: sums for id_, *sums in _sums(connection, chunk)}
        yield from (id_ for id_ in chunk if noted.get(id_) != found.get(id_))


def _sum_up(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Write the sums of files; one that is gone has none."""
    for chunk in chunks(ids):
        connection.execute(f"DELETE FROM sums WHERE file_id IN ({_marks(chunk)})", chunk)
        connection.executemany("INSERT INTO sums VALUES (?, ?, ?)", _sums(connection, chunk))


def _sums(connection: sqlite3.Connection, ids: Sequence[int]) -> list[tuple[int, int, int]]:
    """Compute the sums of files that are there, and that of the folders if asked for."""
    rows: dict[int, dict[str, list[tuple[Any, ...]]]] = defaultdict(lambda: defaultdict(list))
    for table in _there(connection, _OWNERS):
        owner = _OWNERS[table]
        columns = f"SELECT {owner}, * FROM {table} WHERE {owner} IN ({_marks(ids)})"
        for id_, *values in connection.execute(f"{columns} ORDER BY {ORDERS[table]}", ids):
            rows[id_][table].append(tuple(values))
    spoken: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    words = (
        "SELECT items.file_id, words.* FROM items JOIN words ON words.rowid = items.id "
        f"WHERE items.file_id IN ({_marks(ids)}) ORDER BY items.id"
    )
    for id_, *values in connection.execute(words, ids):
        spoken[id_].append(tuple(values))
    sums = [
        (id_, rows_sum(theirs), _crc(spoken[id_]))
        for id_, theirs in rows.items()
        if theirs["files"]
    ]
    return [(FOLDERS, _folders(connection), 0), *sums] if FOLDERS in ids else sums


def _folders(connection: sqlite3.Connection) -> int:
    """Return the checksum of what is known of folders."""
    return _crc(connection.execute("SELECT * FROM folders ORDER BY path").fetchall())


def _meta(connection: sqlite3.Connection) -> dict[str, str]:
    """Read all facts but the copy."""
    rows = connection.execute("SELECT key, value FROM meta WHERE key != ?", (COPY,))
    return {str(key): str(value) for key, value in rows}


def _roots(connection: sqlite3.Connection) -> list[bytes]:
    """Read the folders that were indexed."""
    return [bytes(path) for (path,) in connection.execute("SELECT path FROM roots ORDER BY path")]


def _schema(connection: sqlite3.Connection) -> int:
    """Return the checksum of what the tables are."""
    made = "SELECT type, name, tbl_name, sql FROM main.sqlite_master ORDER BY name, type"
    return _crc(connection.execute(made).fetchall())


def _crc(values: object) -> int:
    """Return the CRC-32 of plain values: numbers, texts, bytes, None, and lists of them."""
    return crc32(repr(values).encode("utf-8", "surrogatepass"))


def _marks(values: Sequence[int]) -> str:
    """Return a question mark for each value."""
    return ", ".join("?" * len(values))

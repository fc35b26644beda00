"""The tables of a catalog are known, so a broken schema is written anew.

SQLite keeps the schema on the first page of a file. If a bit of it flips, SQLite does not find a
table, although its rows are all there. Then a page with the right schema takes the place of the
first one, in a copy of the catalog that is only read. Where the facts cannot be read from their
table, their copy is looked for in the bytes of the file.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import create_engine

from indexer.catalog import row_checksums
from indexer.catalog.meta import FORMAT
from indexer.catalog.schema import TABLES, driver, picture_text, schema

_PAGE = 4096  # bytes, as SQLite makes a file unless it is told otherwise
_PAGES = slice(28, 32)  # where the first page says how many there are
_COPY = re.compile(rb'[0-9a-f]{8} \{"meta": [\x20-\x7e]*\}')

_Row: TypeAlias = tuple[Any, ...]  # of `sqlite_master`: name, rootpage

_UNREADABLE = (sqlite3.Error, UnicodeDecodeError)


def has_all_tables(connection: sqlite3.Connection) -> bool:
    """Tell whether SQLite finds the tables of a catalog, of whichever format, as they were made."""
    try:
        rows = _master(connection)
        with _fresh() as fresh:
            known = {name: _columns(fresh, name) for name in TABLES}
            ours = {name for name, _ in _master(fresh)}
        found = {name: _columns(connection, name) for name, _ in rows if name in known}
    except _UNREADABLE:
        return False
    is_known = all(name in ours or str(name).startswith("words") for name, _ in rows)
    return is_known and all(
        columns and columns == known[name][: len(columns)] for name, columns in found.items()
    )


def write_with_schema(path: Path, connection: sqlite3.Connection, part: Path) -> None:
    """Copy a catalog, and write its first page anew.

    Args:
        path: of the catalog.
        connection: reads it.
        part: path of the copy.
    """
    try:
        rows = _master(connection)
    except _UNREADABLE:
        rows = []
    shutil.copyfile(path, part)
    log = path.with_name(f"{path.name}-wal")
    if log.exists():
        shutil.copyfile(log, part.with_name(f"{part.name}-wal"))
    pages = max(1, part.stat().st_size // _PAGE)
    with part.open("r+b") as file:
        file.write(_first_page(rows, pages, _format(path)))


def copies_of_facts(path: Path) -> Iterator[row_checksums.MetaCopy]:
    """Yield what the bytes of a catalog hold of the copy of its meta rows."""
    for found in _COPY.finditer(path.read_bytes()):
        text = found[0].decode("ascii")
        ends = [at for at, letter in enumerate(text, start=1) if letter == "}"]
        for end in reversed(ends):
            copy = row_checksums.read_copy(text[:end])
            if copy is not None:
                yield copy
                break


def _format(path: Path) -> int:
    """Return the format of a catalog as the copy of its facts says; today's if that is lost."""
    copies = max(copies_of_facts(path), key=attrgetter("generation"), default=None)
    return FORMAT if copies is None else int(copies.meta.get("format", FORMAT))


def _first_page(rows: Sequence[_Row], pages: int, format_: int) -> bytes:
    """Write a first page with the right schema; tables begin where the broken one says.

    Where it says nothing, they begin where they do in a new catalog of that format.
    """
    with _fresh() as fresh:
        made: dict[str, int] = dict(_master(fresh))
        at = {name: root for name, root in rows if name in made}
        lost = [name for name in made if name not in at]
        others = [root for name, root in rows if name not in made]
        if len(lost) == len(others):
            at |= dict(zip(lost, others, strict=True))
        fresh.execute("PRAGMA writable_schema=ON")
        absent = [name for name in lost if name not in at] if rows else _newer(fresh, format_)
        for name in absent:
            fresh.execute("DELETE FROM sqlite_master WHERE name = ?", (name,))
        for name, root in at.items():
            if type(root) is int and (made[name] and 1 < root <= pages):
                fresh.execute("UPDATE sqlite_master SET rootpage=? WHERE name=?", (root, name))
        fresh.commit()
        page = bytearray(fresh.serialize()[:_PAGE])
    page[_PAGES] = pages.to_bytes(4, "big")
    return bytes(page)


def _newer(fresh: sqlite3.Connection, format_: int) -> list[str]:
    """Return the names of what a catalog of a format does not have yet."""
    if format_ >= FORMAT:
        return []
    made = fresh.execute("SELECT name, tbl_name FROM sqlite_master").fetchall()
    return [name for name, table in made if table in picture_text.tables]


def _fresh() -> closing[sqlite3.Connection]:
    """Make an empty catalog in memory."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        schema.create_all(connection)
        connection.commit()
        made = driver(connection).serialize()
    engine.dispose()
    fresh = sqlite3.connect(":memory:")
    fresh.deserialize(made)
    return closing(fresh)


def _master(connection: sqlite3.Connection) -> list[_Row]:
    """Read which tables and indexes there are, and where they begin."""
    return connection.execute("SELECT name, rootpage FROM sqlite_master ORDER BY rowid").fetchall()


def _columns(connection: sqlite3.Connection, table: str) -> list[_Row]:
    """Return name, type and place in the key of each column; nothing if there is no table."""
    found: list[_Row] = []
    with suppress(*_UNREADABLE):
        for row in connection.execute(f"SELECT name, type, pk FROM pragma_table_info('{table}')"):
            found.append(tuple(row))
    return found

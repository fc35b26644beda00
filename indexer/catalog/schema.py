"""The tables of the catalog, and the SQLAlchemy engine that opens them."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Dialect,
    Engine,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    column,
    create_engine,
    event,
    table,
)
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import QueuePool

from indexer.catalog.connection import Connection as OwnConnection
from indexer.catalog.connection import connected, failure


class PathBytes(TypeDecorator[Path]):
    """A path as the bytes the system knows it by: newlines and other encodings survive."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Path | bytes | None, dialect: Dialect) -> bytes | None:
        """Turn a path into bytes."""
        del dialect
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Path | None:
        """Turn bytes into the same path again."""
        del dialect
        return None if value is None else Path(os.fsdecode(value))


schema = MetaData()
meta = Table(
    "meta",
    schema,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
roots = Table("roots", schema, Column("path", PathBytes, primary_key=True))
files = Table(
    "files",
    schema,
    Column("id", Integer, primary_key=True),
    Column("path", PathBytes, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("mtime_ns", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False, index=True),
    Column("reader", Text, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("stamp", Text, nullable=False, server_default=""),
    # Since format 5, NULL where an older format wrote the row; see `changes.FileState`.
    Column("ctime_ns", Integer),
    Column("inode", Integer),
    Column("sample", LargeBinary),
    Column("missing", Integer),
)
items = Table(
    "items",
    schema,
    Column("id", Integer, primary_key=True),
    Column("file_id", ForeignKey("files.id"), nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("time", Float),
)
segments = Table(
    "segments",
    schema,
    Column("number", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("rows", Integer, nullable=False),
)
deleted = Table(
    "deleted",
    schema,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
)
# Since format 5: the folders that index runs entered; see `indexer.ingest.missing_files`.
folders = Table(
    "folders",
    schema,
    Column("path", PathBytes, primary_key=True),
    Column("inode", Integer, nullable=False),
    Column("mounted", Boolean, nullable=False),
)
# Since format 3: what photos say about themselves. A position is kept as a point of the unit
# sphere, too: distances then need no trigonometry of SQLite.
photos = Table(
    "photos",
    schema,
    Column("file_id", ForeignKey("files.id"), primary_key=True),
    Column("taken", Text, index=True),
    Column("latitude", Float, index=True),
    Column("longitude", Float),
    Column("x", Float),
    Column("y", Float),
    Column("z", Float),
    Column("place", Text, nullable=False),
    Column("camera", Text, nullable=False, index=True),
    Column("lens", Text, nullable=False),
    Column("rating", Integer),
    Column("keywords", JSON, nullable=False),
    Column("title", Text, nullable=False),
    Column("caption", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("also", JSON, nullable=False, server_default="[]"),
)
tags = Table(
    "tags",
    schema,
    Column("tag", Text, primary_key=True),
    Column("file_id", ForeignKey("files.id"), primary_key=True, index=True),
)
# Since format 5: checksums of the rows of each file; see `indexer.catalog.row_checksums`.
sums = Table(
    "sums",
    schema,
    Column("file_id", Integer, primary_key=True),
    Column("rows", Integer, nullable=False),
    Column("words", Integer, nullable=False),
)
# Since format 6: the text in photos. These tables come last, so that a new catalog begins its older
# tables where it always did: `indexer.library.schema_repair` counts on that.
picture_text = MetaData()
readings = Table(
    "readings",
    picture_text,
    Column("file_id", ForeignKey(files.c.id), primary_key=True),
    Column("reader", Text, nullable=False),
    Column("share", Float, nullable=False),
)
lines = Table(
    "lines",
    picture_text,
    Column("file_id", ForeignKey(files.c.id), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("box", JSON, nullable=False),
)
TABLES = (*schema.tables, *picture_text.tables)
"""The names of all tables but the full-text indexes."""

words = table("words", *map(column, ("rowid", "text", "folders", "name", "place", "seen")))
"""SQLite's full-text index of items, by their id as `rowid`. `seen` is the text in photos, and came
with format 6."""


_SINCE = {
    files.c.stamp: 3,
    items.c.time: 4,
    photos.c.also: 4,
    files.c.ctime_ns: 5,
    files.c.inode: 5,
    files.c.sample: 5,
    files.c.missing: 5,
}
"""The format that added a column to a table there was."""


def known_in(format_: int, *columns: Column[Any]) -> list[Column[Any]]:
    """Return those of some columns that a catalog of a format has."""
    return [each for each in columns if _SINCE.get(each, 0) <= format_]


@event.listens_for(schema, "after_create")
def create_words(_schema: MetaData, connection: Connection, **_: Any) -> None:
    """Create the index of words. Its rows hold tokens, which it has to part at spaces alone.

    For "ascii" all letters beyond ASCII are parts of words, whatever the version of SQLite.
    """
    connection.exec_driver_sql(
        "CREATE VIRTUAL TABLE words USING fts5"
        "(text, folders, name, place, seen, tokenize = 'porter ascii')"
    )


@event.listens_for(schema, "after_create")
def create_picture_text(_schema: MetaData, connection: Connection, **_: Any) -> None:
    """Create the tables that format 6 added.

    The definitions of all tables fit the first page of the file, so that one page mends them; see
    `indexer.library.schema_repair`.
    """
    picture_text.create_all(connection)


def driver(connection: Connection) -> sqlite3.Connection:
    """Return Python's own connection, in the midst of the same transaction."""
    return cast(sqlite3.Connection, connection.connection.dbapi_connection)


def connect(path: Path, *, mode: str = "rw") -> Engine:
    """Connect to SQLite. Mode "rw" never creates a file, "rwc" does."""
    engine = create_engine(
        "sqlite://", creator=lambda: connected(path, mode=mode), poolclass=QueuePool
    )

    @event.listens_for(engine, "checkout")
    def _checked(connection: sqlite3.Connection, *_: Any) -> None:
        if isinstance(connection, OwnConnection) and connection.is_stale():
            raise DisconnectionError("the catalog has changed")  # SQLAlchemy connects again

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    @event.listens_for(engine, "handle_error")
    def _failed(context: ExceptionContext) -> None:
        raise failure(path, context.original_exception) from context.original_exception

    return engine

"""Catalogs of older formats become those of today, within one transaction of the next writer."""

from __future__ import annotations

from sqlalchemy import Connection, select

from indexer import tables, words
from indexer.facts import NO_HUBNESS

_ROWS = 10_000  # items whose words are written at once


def migrate(connection: Connection, format_: int) -> None:
    """Bring a catalog of an older format to that of today; sums of all rows come last."""
    if format_ < 4:
        _add_videos(connection, format_)
    if format_ < 5:
        _add_identity(connection)
    _sum_up(connection)


def _sum_up(connection: Connection) -> None:
    """Make the table of format 5 that holds checksums, still empty; see `indexer.sums`."""
    tables.sums.create(connection, checkfirst=True)


def _add_videos(connection: Connection, format_: int) -> None:
    """Add at what time of a video a frame is shown, and what belongs to a photo."""
    connection.exec_driver_sql("ALTER TABLE items ADD COLUMN time FLOAT")
    if format_ < 3:
        _describe(connection)
    else:
        connection.exec_driver_sql("ALTER TABLE photos ADD COLUMN also JSON NOT NULL DEFAULT '[]'")


def _add_identity(connection: Connection) -> None:
    """Add what tells a changed file from one of the same size and date, and what is missing.

    The next index run notes the inode and the time of change of each file without reading it.
    """
    for column in ("ctime_ns INTEGER", "inode INTEGER", "sample BLOB", "missing INTEGER"):
        connection.exec_driver_sql(f"ALTER TABLE files ADD COLUMN {column}")
    tables.folders.create(connection, checkfirst=True)


def _describe(connection: Connection) -> None:
    """Add what format 3 knows of photos, and the words of all items, to format 1 or 2.

    Photos say nothing yet: an index run reads what they say, and embeds nothing again.
    """
    connection.exec_driver_sql("ALTER TABLE files ADD COLUMN stamp TEXT NOT NULL DEFAULT ''")
    tables.schema.create_all(connection)
    facts = [{"key": key, "value": value} for key, value in NO_HUBNESS.items()]
    connection.execute(tables.meta.insert().prefix_with("OR IGNORE"), facts)
    roots = list(connection.scalars(select(tables.roots.c.path)))
    items = select(tables.items.c.id, tables.items.c.text, tables.files.c.path).join(tables.files)
    result = connection.execute(items)
    while rows := result.fetchmany(_ROWS):
        spoken = [words.row(row.id, row.text, row.path, roots) for row in rows]
        connection.execute(tables.words.insert(), spoken)

"""Migrations of older catalog formats, which the next writer runs within one transaction."""

from __future__ import annotations

from sqlalchemy import Connection, select

from indexer.catalog import fulltext, photo_rows, schema
from indexer.catalog.meta import NO_HUBNESS
from indexer.catalog.snapshot import metadata_of

_ROWS = 10_000  # items whose words are written at once


def migrate(connection: Connection, format_: int) -> None:
    """Bring a catalog of an older format to that of today; sums of all rows come last."""
    if format_ < 4:
        _add_times(connection, format_)
    if format_ < 5:
        _add_identity(connection)
        _write_words_anew(connection)
    elif format_ < 6:
        _add_seen(connection)
    _sum_up(connection)
    schema.picture_text.create_all(connection)


def _add_seen(connection: Connection) -> None:
    """Write the words again with room for the text in photos, which was not read yet."""
    columns = ("rowid", "text", "folders", "name", "place")
    result = connection.execute(select(*(schema.words.c[name] for name in columns)))
    words = [{**row._asdict(), "seen": ""} for row in result]
    connection.exec_driver_sql("DROP TABLE words")
    schema.create_words(schema.schema, connection)
    for start in range(0, len(words), _ROWS):
        connection.execute(schema.words.insert(), words[start : start + _ROWS])


def _sum_up(connection: Connection) -> None:
    """Make the table of format 5 that holds checksums, still empty."""
    schema.sums.create(connection, checkfirst=True)


def _add_times(connection: Connection, format_: int) -> None:
    """Add what format 4 knows: when a frame of a video is shown, and what belongs to a photo."""
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
    schema.folders.create(connection, checkfirst=True)


def _describe(connection: Connection) -> None:
    """Add the tables that format 3 has for what photos say, to format 1 or 2.

    Photos say nothing yet: an index run reads what they say, and embeds nothing again.
    """
    connection.exec_driver_sql("ALTER TABLE files ADD COLUMN stamp TEXT NOT NULL DEFAULT ''")
    schema.schema.create_all(connection)
    facts = [{"key": key, "value": value} for key, value in NO_HUBNESS.items()]
    connection.execute(schema.meta.insert().prefix_with("OR IGNORE"), facts)


def _write_words_anew(connection: Connection) -> None:
    """Write all words and keywords as format 5 compares them, from what the catalog holds."""
    connection.exec_driver_sql("DROP TABLE words")
    schema.create_words(schema.schema, connection)
    connection.execute(schema.tags.delete())
    keywords = select(schema.photos.c.file_id, schema.photos.c.keywords)
    result = connection.execute(keywords)
    while told := result.fetchmany(_ROWS):
        photo_rows.put_tags(connection, {row.file_id: row.keywords for row in told})
    roots = list(connection.scalars(select(schema.roots.c.path)))
    columns = (schema.items.c.id, schema.items.c.text, schema.files.c.path)
    joined = schema.items.join(schema.files).outerjoin(
        schema.photos, schema.photos.c.file_id == schema.files.c.id
    )
    items = select(*columns, *photo_rows.COLUMNS).select_from(joined)
    result = connection.execute(items)
    while rows := result.fetchmany(_ROWS):
        spoken = [
            fulltext.row(
                row.id,
                row.text,
                row.path,
                roots,
                None if row.width is None else metadata_of(row._asdict()),
            )
            for row in rows
        ]
        connection.execute(schema.words.insert(), spoken)

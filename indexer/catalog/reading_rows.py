"""Rows of the catalog for the text in photos: what read them, their lines and their words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Text, bindparam, select, update

from indexer.catalog import schema
from indexer.catalog.changes import Reading
from indexer.catalog.connection import chunks
from indexer.catalog.meta import FORMAT
from indexer.core.text_normalization import tokens
from indexer.core.types import TextLine


def put(connection: Connection, readings: Mapping[int, Reading]) -> None:
    """Write what was read in photos, by the ids of their files, in place of the old."""
    drop(connection, list(readings))
    rows = [
        {"file_id": id_, "reader": reading.reader, "share": reading.share}
        for id_, reading in readings.items()
    ]
    lines = [
        {"file_id": id_, "number": number, **vars(line), "box": list(line.box)}
        for id_, reading in readings.items()
        for number, line in enumerate(reading.lines)
    ]
    if rows:
        connection.execute(schema.readings.insert(), rows)
    if lines:
        connection.execute(schema.lines.insert(), lines)
        _put_words(connection, {id_: reading for id_, reading in readings.items() if reading.lines})


def _put_words(connection: Connection, readings: Mapping[int, Reading]) -> None:
    """Index the words of photos, by the ids of their files."""
    items = select(schema.items.c.id, schema.items.c.file_id)
    words = update(schema.words).where(schema.words.c.rowid == bindparam("of"))
    for chunk in chunks(list(readings)):
        theirs = connection.execute(items.where(schema.items.c.file_id.in_(chunk)))
        rows = [{"of": row.id, "to": _words(readings[row.file_id].lines)} for row in theirs]
        if rows:
            connection.execute(words.values(seen=bindparam("to", type_=Text)), rows)


def _words(lines: Sequence[TextLine]) -> str:
    """Return the words of lines as the index keeps them: tokens with a space between them."""
    return " ".join(token for line in lines for token in tokens(line.text))


def drop(connection: Connection, file_ids: Sequence[int]) -> None:
    """Delete what was read in photos."""
    for chunk in chunks(file_ids):
        items = select(schema.items.c.id).where(schema.items.c.file_id.in_(chunk))
        shown = schema.words.c.rowid.in_(items), schema.words.c.seen != ""
        connection.execute(update(schema.words).where(*shown).values(seen=""))
        for table in (schema.readings, schema.lines):
            connection.execute(table.delete().where(table.c.file_id.in_(chunk)))


def read(connection: Connection, format_: int) -> dict[int, Reading]:
    """Return what was read in every photo, by its file's id."""
    if format_ < 6:
        return {}
    lines: dict[int, list[TextLine]] = defaultdict(list)
    for row in connection.execute(select(schema.lines).order_by(schema.lines.c.number)):
        lines[row.file_id].append(
            TextLine(text=row.text, confidence=row.confidence, box=tuple(row.box))
        )
    return {
        row.file_id: Reading(reader=row.reader, lines=tuple(lines[row.file_id]))
        for row in connection.execute(select(schema.readings))
    }


def by_content(connection: Connection) -> dict[bytes, Reading]:
    """Return what was read in every photo, by the hash of its file's content."""
    files = schema.files.c
    digests = connection.execute(select(files.id, files.digest).join(schema.readings))
    readings = read(connection, FORMAT)
    return {row.digest: readings[row.id] for row in digests}

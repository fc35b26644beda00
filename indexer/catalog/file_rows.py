"""Rows of the catalog for files, their items and the folders that they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from time import time as now
from typing import Any

from sqlalchemy import Connection, Row, TableClause, bindparam, func, select

from indexer.catalog import fulltext, photo_rows, reading_rows, schema
from indexer.catalog.changes import FileRecord, FileState, FolderState, Move, NewFile, Touch
from indexer.catalog.connection import chunks
from indexer.core.types import Kind


def move(connection: Connection, moved: Move) -> None:
    """Give a known file its new path, in place of any other there."""
    there = ids_at(connection, [moved.path]).values()
    forget(connection, [id_ for id_ in there if id_ != moved.file_id])
    values = {
        "path": moved.path,
        "mtime_ns": moved.mtime_ns,
        "stamp": moved.stamp,
        "ctime_ns": moved.ctime_ns,
        "inode": moved.inode,
        "missing": None,
    }
    connection.execute(
        schema.files.update().where(schema.files.c.id == moved.file_id).values(values)
    )
    fulltext.rename(connection, {moved.file_id: moved.path}, all_roots(connection))
    if moved.about is not None:
        photo_rows.put(connection, {moved.file_id: moved.about})
        fulltext.tell(connection, moved.file_id, moved.about)


def touch(connection: Connection, touches: Sequence[Touch]) -> None:
    """Store new dates and inodes of files that are otherwise unchanged."""
    files = schema.files.c
    dates: dict[str, Any] = {each: bindparam(each) for each in ("mtime_ns", "ctime_ns", "inode")}
    statement = (
        schema.files.update()
        .where(files.id == bindparam("file_id"))
        .values(**dates, sample=func.coalesce(bindparam("part"), files.sample), missing=None)
    )
    rows = [{**vars(each), "part": each.sample} for each in touches]
    for row in rows:
        del row["sample"]
    if rows:
        connection.execute(statement, rows)


def miss(connection: Connection, file_ids: Sequence[int]) -> None:
    """Mark files as not found, and keep them."""
    files = schema.files.c
    for chunk in chunks(file_ids):
        first = files.id.in_(chunk) & files.missing.is_(None)
        connection.execute(schema.files.update().where(first).values(missing=int(now())))


def all_folders(connection: Connection) -> dict[Path, FolderState]:
    """Return the folders that were entered, in their state at that time."""
    return {
        row.path: FolderState(inode=row.inode, mounted=row.mounted)
        for row in connection.execute(select(schema.folders))
    }


def put_folders(connection: Connection, states: Mapping[Path, FolderState | None]) -> None:
    """Store the state of folders; None for one that has gone."""
    for chunk in chunks(list(states)):
        connection.execute(schema.folders.delete().where(schema.folders.c.path.in_(chunk)))
    rows = [{"path": path, **vars(state)} for path, state in states.items() if state is not None]
    insert(connection, schema.folders, rows)


def forget_folders(connection: Connection, root: Path) -> None:
    """Delete the stored state of a folder and those below it."""
    gone = [path for path in all_folders(connection) if path.is_relative_to(root)]
    put_folders(connection, dict.fromkeys(gone))


def rename(connection: Connection, paths: Mapping[int, Path | bytes]) -> None:
    """Give files other paths, by their ids."""
    rows = [{"of": id_, "to": path} for id_, path in paths.items()]
    statement = schema.files.update().where(schema.files.c.id == bindparam("of"))
    if rows:
        connection.execute(statement.values(path=bindparam("to")), rows)


def move_roots(connection: Connection, old: Path, new: Path) -> None:
    """Move the roots below a folder along; what is moved has a root in any case."""
    roots = set(connection.scalars(select(schema.roots.c.path)))
    gone = {root for root in roots if root.is_relative_to(old)}
    come = {new / root.relative_to(old) for root in gone}
    if not any(new.is_relative_to(root) for root in come | (roots - gone)):
        come.add(new)
    set_roots(connection, sorted(come), sorted(gone - come))


def add(connection: Connection, files: Sequence[NewFile]) -> int:
    """Insert files and their items, in place of any other at their paths; count these others."""
    paths = [file.state.path for file in files]
    replaced = list(ids_at(connection, paths).values())
    forget(connection, replaced)
    insert(connection, schema.files, [_file_values(file.state) for file in files])
    ids = ids_at(connection, paths)
    items = [
        {"id": id_, "file_id": ids[file.state.path], "text": text, "time": time}
        for file in files
        for id_, text, time in zip(file.ids, file.texts, _times(file), strict=True)
    ]
    insert(connection, schema.items, items)
    roots = all_roots(connection)
    spoken = [
        fulltext.row(id_, text, file.state.path, roots, file.about)
        for file in files
        for id_, text in zip(file.ids, file.texts, strict=True)
    ]
    insert(connection, schema.words, spoken)
    told = {ids[file.state.path]: file.about for file in files if file.about is not None}
    photo_rows.put(connection, told)
    read = {ids[file.state.path]: file.reading for file in files if file.reading is not None}
    reading_rows.put(connection, read)
    return len(replaced)


def _times(file: NewFile) -> Sequence[float | None]:
    """Return the time of each item of a file."""
    return file.times or [None] * len(file.ids)


def forget(connection: Connection, file_ids: Sequence[int]) -> None:
    """Delete files and their items, and note which vectors no longer count."""
    for chunk in chunks(file_ids):
        theirs = schema.items.c.file_id.in_(chunk)
        dead = select(schema.items.c.id, schema.files.c.kind).join(schema.files).where(theirs)
        connection.execute(schema.deleted.insert().from_select(["id", "kind"], dead))
        silent = select(schema.items.c.id).where(theirs)
        connection.execute(schema.words.delete().where(schema.words.c.rowid.in_(silent)))
        photo_rows.drop(connection, chunk)
        reading_rows.drop(connection, chunk)
        connection.execute(schema.items.delete().where(theirs))
        connection.execute(schema.files.delete().where(schema.files.c.id.in_(chunk)))


def ids_at(connection: Connection, paths: Sequence[Path]) -> dict[Path, int]:
    """Return the ids of the files at these paths."""
    columns = select(schema.files.c.path, schema.files.c.id)
    return {
        row.path: row.id
        for chunk in chunks(paths)
        for row in connection.execute(columns.where(schema.files.c.path.in_(chunk)))
    }


def _file_values(state: FileState) -> dict[str, Any]:
    """Return a file as a row of its table."""
    return vars(state) | {"kind": state.kind.value, "reasons": list(state.reasons)}


def set_roots(connection: Connection, new: Iterable[Path], forgotten: Sequence[Path]) -> None:
    """Add roots that are not there yet, and drop others."""
    old = all_roots(connection)
    insert(connection, schema.roots, [{"path": root} for root in set(new) - set(old)])
    for chunk in chunks(forgotten):
        connection.execute(schema.roots.delete().where(schema.roots.c.path.in_(chunk)))


def all_roots(connection: Connection) -> list[Path]:
    """Return the folders that were indexed."""
    return list(connection.scalars(select(schema.roots.c.path).order_by(schema.roots.c.path)))


def new_file(file: FileRecord, items: Sequence[Row[Any]]) -> NewFile:
    """Return a known file and the rows of its items as one to add."""
    values = {key: value for key, value in vars(file).items() if key != "id"}
    first = items[0].id if items else 0
    times = [time for item in items if (time := time_of(item)) is not None]
    return NewFile(
        state=FileState(**values),
        ids=range(first, first + len(items)),
        texts=tuple(item.text for item in items),
        times=tuple(times),
    )


def time_of(item: Row[Any]) -> float | None:
    """Return the time of a frame from the row of its item; None for all else."""
    time: float | None = item._mapping.get("time")
    return time


def known_file(row: Row[Any]) -> FileRecord:
    """Turn a row into a file."""
    values = row._asdict() | {"kind": Kind(row.kind), "reasons": tuple(row.reasons)}
    return FileRecord(**values)


def insert(connection: Connection, table: TableClause, rows: list[dict[str, Any]]) -> None:
    """Insert rows, if there are any."""
    if rows:
        connection.execute(table.insert(), rows)

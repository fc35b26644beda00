"""The catalog: a SQLite database that is the only truth about what a library holds.

Every change is one transaction, so a process killed at any moment leaves the last commit whole.
Readers see one commit at a time while the one writer adds the next.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, ColumnElement, Connection, Row, Table, func, or_, select

from indexer import tables
from indexer.errors import LibraryDamaged, LibraryTooNew, TwinlensError, way_out
from indexer.tables import connect
from indexer.types import Kind, Record, SegmentRow

FORMAT = 2
"""The format written, and the newest that is read. In format 1 no vector carries a hubness."""

_NUMBERS = ("format", "dim", "generation", "next_id", "next_segment")
_HUBNESS_NUMBERS = ("hubness_k", "photo_bank", "text_bank")
_CHUNK = 500  # values in one IN (...); SQLite allows 32,766, and more gains nothing

T = TypeVar("T")
Ids: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a library was made for, and how far its counters are.

    Attributes:
        format: of the files on disk.
        model: the name of the encoder.
        fingerprint: of the encoder.
        dim: length of every vector.
        hubness_k: neighbours in the bank that an item's hubness is the mean of; 0 in format 1.
        photo_bank: vectors of generic photos in the banks; 0 in format 1.
        text_bank: vectors of generic texts in the banks; 0 in format 1.
        generation: counts commits; equal generations are the same commit.
        next_id: the id that the next item gets.
        next_segment: the number that the next segment gets.
        writer: who writes or wrote last: "PID SECONDS", seconds since 1970.
    """

    format: int = FORMAT
    model: str
    fingerprint: str
    dim: int
    hubness_k: int = 0
    photo_bank: int = 0
    text_bank: int = 0
    generation: int = 0
    next_id: int = 1
    next_segment: int = 1
    writer: str = ""

    @property
    def width(self) -> int:
        """Length of a stored row: the vector and, from format 2 on, its hubness."""
        return self.dim + (self.format >= 2)


@dataclass(frozen=True, kw_only=True)
class FileState:
    """What a file was when it was read.

    Attributes:
        path: where it lies, absolute.
        kind: photo or text.
        size: bytes.
        mtime_ns: time of the last change, nanoseconds since 1970.
        digest: a hash of the content.
        reader: what read it (versions, limits); a broken file is tried again with another.
        reasons: why it, or rows of it, could not be read.
    """

    path: Path
    kind: Kind
    size: int
    mtime_ns: int
    digest: bytes
    reader: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class KnownFile(FileState):
    """A file that the catalog holds."""

    id: int


@dataclass(frozen=True, kw_only=True)
class PhotoFile:
    """A photo of the library: the id of its item, and its file as it was indexed."""

    id: int
    path: Path
    size: int
    digest: bytes


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A file to add, in place of any other at its path. One text an item; "" for a photo."""

    state: FileState
    ids: range
    texts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Move:
    """A known file with the same content at another path, or of another date."""

    file_id: int
    path: Path
    mtime_ns: int


@dataclass(frozen=True, kw_only=True)
class Change:
    """All that one transaction adds, moves and removes.

    Attributes:
        files: to add.
        moves: of known files.
        removed: ids of files to remove.
        roots: folders that are indexed from now on.
        forgotten: folders that no longer are.
        segments: that hold the vectors of `files`.
    """

    files: Sequence[NewFile] = ()
    moves: Sequence[Move] = ()
    removed: Sequence[int] = ()
    roots: Sequence[Path] = ()
    forgotten: Sequence[Path] = ()
    segments: Sequence[SegmentRow] = ()


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Segments that take the place of others.

    Attributes:
        kind: of all these segments.
        old: numbers of the segments that go.
        new: the segments that come.
        purged: deleted ids that no segment holds any longer. Shape (n,).
        base: as in `Snapshot`, from now on.
    """

    kind: Kind
    old: Sequence[int]
    new: Sequence[SegmentRow]
    purged: Ids
    base: int


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What one commit says about the vectors of one kind.

    Attributes:
        generation: counts commits; equal generations are the same commit.
        segments: by number.
        base: the number up to which the saved FAISS index holds the segments; 0 for none.
        deleted: ids that segments still hold and no item has. Shape (n,).
    """

    generation: int
    segments: tuple[SegmentRow, ...]
    base: int
    deleted: Ids


class Catalog:
    """An open catalog. Close it, or use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = connect(path)

    @classmethod
    def create(cls, path: Path, facts: Facts) -> None:
        """Write a new, empty catalog with these facts."""
        engine = connect(path, mode="rwc")
        try:
            with engine.begin() as connection:
                tables.schema.create_all(connection)
                _write_meta(connection, {key: str(fact) for key, fact in asdict(facts).items()})
        finally:
            engine.dispose()

    @classmethod
    def open(cls, path: Path) -> Catalog:
        """Open a catalog whose format this version reads.

        Raises:
            LibraryTooNew: a newer version wrote it.
            LibraryDamaged: it is not a catalog, or facts are missing from it.
        """
        catalog = cls(path)
        try:
            catalog.facts()
        except TwinlensError:
            catalog.close()
            raise
        return catalog

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    # What is there

    def facts(self) -> Facts:
        """Return the facts as of the last commit.

        Raises:
            LibraryTooNew: a newer version wrote them.
            LibraryDamaged: some are missing, or no numbers.
        """
        with self._engine.begin() as connection:
            return _facts(self._path, _read_meta(connection))

    def snapshot(self, kind: Kind) -> Snapshot:
        """Return what the last commit says about the vectors of a kind."""
        with self._engine.begin() as connection:
            meta = _read_meta(connection)
            named = (
                select(tables.segments)
                .where(tables.segments.c.kind == kind)
                .order_by(tables.segments.c.number)
            )
            gone = select(tables.deleted.c.id).where(tables.deleted.c.kind == kind)
            return Snapshot(
                generation=int(meta["generation"]),
                base=int(meta.get(_base_key(kind), 0)),
                segments=tuple(
                    SegmentRow(number=row.number, kind=kind, rows=row.rows)
                    for row in connection.execute(named)
                ),
                deleted=np.array(connection.scalars(gone).all(), dtype=np.int64),
            )

    def segment_numbers(self) -> set[int]:
        """Return the numbers of all segments that exist."""
        with self._engine.begin() as connection:
            return set(connection.scalars(select(tables.segments.c.number)))

    def count(self, kind: Kind) -> int:
        """Count the items of a kind."""
        snapshot = self.snapshot(kind)
        return sum(segment.rows for segment in snapshot.segments) - len(snapshot.deleted)

    def count_skipped(self) -> int:
        """Count the files that could not be read, whole or in part."""
        with self._engine.begin() as connection:
            broken = (
                select(func.count()).select_from(tables.files).where(tables.files.c.reasons != [])
            )
            return connection.scalar(broken) or 0

    def roots(self) -> list[Path]:
        """Return the folders that were indexed."""
        with self._engine.begin() as connection:
            return list(
                connection.scalars(select(tables.roots.c.path).order_by(tables.roots.c.path))
            )

    def records(self, ids: Sequence[int]) -> list[Record]:
        """Return the items of these ids in their order; an id without an item gives none."""
        wanted = select(
            tables.items.c.id, tables.items.c.text, tables.files.c.path, tables.files.c.kind
        ).join(tables.files)
        found = {row.id: _record(row) for row in self._rows_in(wanted, tables.items.c.id, ids)}
        return [found[id_] for id_ in ids if id_ in found]

    def known(self, paths: Iterable[Path]) -> dict[Path, KnownFile]:
        """Return what is known of the files at these paths."""
        rows = self._rows_in(select(tables.files), tables.files.c.path, paths)
        return {row.path: _known(row) for row in rows}

    def with_content(self, digests: Iterable[bytes]) -> list[KnownFile]:
        """Return the known files whose content has one of these hashes."""
        return [
            _known(row)
            for row in self._rows_in(select(tables.files), tables.files.c.digest, digests)
        ]

    def files_below(self, roots: Iterable[Path]) -> set[int]:
        """Return the ids of the files below these folders; a root may be a file itself."""
        below = or_(*(_is_below(root) for root in roots))
        with self._engine.begin() as connection:
            return set(connection.scalars(select(tables.files.c.id).where(below)))

    def paths(self, file_ids: Iterable[int]) -> dict[int, Path]:
        """Return where these files lie."""
        columns = select(tables.files.c.id, tables.files.c.path)
        return {row.id: row.path for row in self._rows_in(columns, tables.files.c.id, file_ids)}

    def photo_files(self, roots: Sequence[Path]) -> list[PhotoFile]:
        """Return the photos below these folders, or all if none is named, by path."""
        files = tables.files.c
        wanted = (
            select(tables.items.c.id, files.path, files.size, files.digest)
            .join(tables.files)
            .where(files.kind == Kind.PHOTO, *([or_(*map(_is_below, roots))] if roots else []))
            .order_by(files.path)
        )
        with self._engine.begin() as connection:
            return [PhotoFile(**row._asdict()) for row in connection.execute(wanted)]

    def _rows_in(self, query: Any, column: Column[Any], values: Iterable[Any]) -> list[Row[Any]]:
        """Run a query for the rows whose column has one of the values."""
        with self._engine.begin() as connection:
            return [
                row
                for chunk in _chunks(list(values))
                for row in connection.execute(query.where(column.in_(chunk)))
            ]

    # What changes

    def apply(self, change: Change) -> None:
        """Make one change, whole or not at all."""
        with self._writing() as connection:
            for move in change.moves:
                _move(connection, move)
            _forget(connection, change.removed)
            _add(connection, change.files)
            _insert(connection, tables.segments, [_segment_values(row) for row in change.segments])
            _set_roots(connection, change.roots, change.forgotten)
            added = sum(len(file.ids) for file in change.files)
            _count_up(connection, "next_id", added)
            _count_up(connection, "next_segment", len(change.segments))

    def merge(self, merge: Merge) -> None:
        """Put new segments in the place of old ones."""
        with self._writing() as connection:
            for chunk in _chunks(merge.old):
                connection.execute(
                    tables.segments.delete().where(tables.segments.c.number.in_(chunk))
                )
            for chunk in _chunks(merge.purged.tolist()):
                connection.execute(tables.deleted.delete().where(tables.deleted.c.id.in_(chunk)))
            _insert(connection, tables.segments, [_segment_values(row) for row in merge.new])
            _write_meta(connection, {_base_key(merge.kind): str(merge.base)})
            _count_up(connection, "next_segment", len(merge.new))

    def rebase(self, kind: Kind, number: int) -> None:
        """Note that the saved FAISS index holds the segments up to this number."""
        with self._writing() as connection:
            _write_meta(connection, {_base_key(kind): str(number)})

    def note(self, key: str, value: str) -> None:
        """Write one fact."""
        with self._engine.begin() as connection:
            _write_meta(connection, {key: value})

    def noted(self, key: str) -> str:
        """Return one fact, empty if it was never noted."""
        with self._engine.begin() as connection:
            return _read_meta(connection).get(key, "")

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One transaction that readers will notice by its generation."""
        with self._engine.begin() as connection:
            yield connection
            _count_up(connection, "generation", 1)


def _facts(path: Path, meta: dict[str, str]) -> Facts:
    """Turn the rows of the table into facts, and refuse a newer format first of all."""
    numbers = [*_NUMBERS, *(_HUBNESS_NUMBERS if meta.get("format") != "1" else ())]
    wrong = [key for key in numbers if not meta.get(key, "").isdecimal()]
    wrong += [key for key in ("model", "fingerprint") if key not in meta]
    if "format" not in wrong and int(meta["format"]) > FORMAT:
        raise LibraryTooNew(
            f"{path} has format {meta['format']}, this twinlens reads up to {FORMAT}; "
            "upgrade with: pip install --upgrade twinlens"
        )
    if wrong:
        raise LibraryDamaged(f"{path} lacks {', '.join(wrong)}; {way_out(path.parent)}")
    return Facts(
        **{key: int(meta[key]) for key in numbers},
        model=meta["model"],
        fingerprint=meta["fingerprint"],
        writer=meta.get("writer", ""),
    )


def _read_meta(connection: Connection) -> dict[str, str]:
    """Read all facts."""
    return {row.key: row.value for row in connection.execute(select(tables.meta))}


def _write_meta(connection: Connection, facts: dict[str, str]) -> None:
    """Write facts over those of the same key."""
    rows = [{"key": key, "value": value} for key, value in facts.items()]
    connection.execute(tables.meta.insert().prefix_with("OR REPLACE"), rows)


def _count_up(connection: Connection, key: str, by: int) -> None:
    """Move a counter on."""
    _write_meta(connection, {key: str(int(_read_meta(connection)[key]) + by)})


def _base_key(kind: Kind) -> str:
    """Name the fact that says how far the saved index of a kind goes."""
    return f"base_{kind}"


def _move(connection: Connection, move: Move) -> None:
    """Give a known file its new path, in place of any other there."""
    there = _ids_at(connection, [move.path]).values()
    _forget(connection, [id_ for id_ in there if id_ != move.file_id])
    values = {"path": move.path, "mtime_ns": move.mtime_ns}
    connection.execute(
        tables.files.update().where(tables.files.c.id == move.file_id).values(values)
    )


def _add(connection: Connection, files: Sequence[NewFile]) -> None:
    """Insert files and their items, in place of any other at their paths."""
    paths = [file.state.path for file in files]
    _forget(connection, list(_ids_at(connection, paths).values()))
    _insert(connection, tables.files, [_file_values(file.state) for file in files])
    ids = _ids_at(connection, paths)
    items = [
        {"id": id_, "file_id": ids[file.state.path], "text": text}
        for file in files
        for id_, text in zip(file.ids, file.texts, strict=True)
    ]
    _insert(connection, tables.items, items)


def _forget(connection: Connection, file_ids: Sequence[int]) -> None:
    """Delete files and their items, and note which vectors no longer count."""
    for chunk in _chunks(file_ids):
        theirs = tables.items.c.file_id.in_(chunk)
        dead = select(tables.items.c.id, tables.files.c.kind).join(tables.files).where(theirs)
        connection.execute(tables.deleted.insert().from_select(["id", "kind"], dead))
        connection.execute(tables.items.delete().where(theirs))
        connection.execute(tables.files.delete().where(tables.files.c.id.in_(chunk)))


def _ids_at(connection: Connection, paths: Sequence[Path]) -> dict[Path, int]:
    """Return the ids of the files at these paths."""
    columns = select(tables.files.c.path, tables.files.c.id)
    return {
        row.path: row.id
        for chunk in _chunks(paths)
        for row in connection.execute(columns.where(tables.files.c.path.in_(chunk)))
    }


def _file_values(state: FileState) -> dict[str, Any]:
    """Return a file as a row of its table."""
    return asdict(state) | {"kind": state.kind.value, "reasons": list(state.reasons)}


def _set_roots(connection: Connection, new: Iterable[Path], forgotten: Sequence[Path]) -> None:
    """Add roots that are not there yet, and drop others."""
    old = set(connection.scalars(select(tables.roots.c.path)))
    _insert(connection, tables.roots, [{"path": root} for root in set(new) - old])
    for chunk in _chunks(forgotten):
        connection.execute(tables.roots.delete().where(tables.roots.c.path.in_(chunk)))


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, if there are any."""
    if rows:
        connection.execute(table.insert(), rows)


def _segment_values(row: SegmentRow) -> dict[str, Any]:
    """Return a segment as a row of its table."""
    return {"number": row.number, "kind": row.kind.value, "rows": row.rows}


def _is_below(root: Path) -> ColumnElement[bool]:
    """Match a path and all below it: the range of bytes that begin with it and a separator."""
    name, separator = os.fsencode(root), os.fsencode(os.sep)
    first = name if name.endswith(separator) else name + separator
    last = first[:-1] + bytes([first[-1] + 1])
    path = tables.files.c.path
    return or_(path == name, (path >= first) & (path < last))


def _known(row: Row[Any]) -> KnownFile:
    """Turn a row into a file."""
    values = row._asdict() | {"kind": Kind(row.kind), "reasons": tuple(row.reasons)}
    return KnownFile(**values)


def _record(row: Row[Any]) -> Record:
    """Turn a row into a record."""
    return Record(id=row.id, kind=Kind(row.kind), path=row.path, text=row.text)


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut values into runs that fit one statement."""
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))

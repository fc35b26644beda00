"""The catalog for writers: the SQLite database that decides what a library contains.

Every change is one transaction, so a process that is killed leaves the last commit intact. Readers
see one commit at a time while the single writer adds the next.
"""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    Row,
    and_,
    case,
    func,
    or_,
    select,
    type_coerce,
)

from indexer.catalog import (
    file_rows,
    filter_ids,
    fulltext,
    migrations,
    photo_rows,
    reading_rows,
    row_checksums,
    schema,
)
from indexer.catalog.changes import (
    CatalogPhoto,
    FileRecord,
    FolderState,
    Merge,
    NewFile,
    Transaction,
    UnreadPhoto,
)
from indexer.catalog.connection import chunks, failure
from indexer.catalog.filter_ids import IdSet
from indexer.catalog.filter_sql import below, compiled
from indexer.catalog.meta import (
    FORMAT,
    REWRITTEN,
    Ids,
    LibraryMeta,
    SavedIndexMeta,
    base_key,
    plan_key,
    seal_key,
)
from indexer.catalog.picture_words import text_filters
from indexer.catalog.reader import CatalogReader
from indexer.catalog.schema import connect
from indexer.core.errors import LibraryDamaged, TwinlensError, UsageError, mending
from indexer.core.filters import Filter
from indexer.core.types import Kind, MetadataSummary, SegmentRow, State


class CatalogWriter(CatalogReader):
    """An open catalog, for reading and writing. Close it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._engine = connect(path)

    @classmethod
    def create(cls, path: Path, facts: LibraryMeta) -> None:
        """Write a new, empty catalog with these facts."""
        engine = connect(path, mode="rwc")
        try:
            with engine.begin() as connection:
                schema.schema.create_all(connection)
                _write_meta(connection, {key: str(fact) for key, fact in asdict(facts).items()})
                row_checksums.seal_all(schema.driver(connection))
        finally:
            engine.dispose()

    @classmethod
    def open(cls, path: Path) -> CatalogWriter:
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
        """Close the database."""
        super().close()
        self._engine.dispose()

    # What is there

    def segment_numbers(self) -> set[int]:
        """Return the numbers of all segments that exist."""
        with self._reading() as connection:
            return set(connection.scalars(select(schema.segments.c.number)))

    def count_frames(self) -> tuple[int, int]:
        """Count the frames of videos, and the videos they are of."""
        if self.facts().format < 4:
            return 0, 0
        items = schema.items.c
        counts = select(func.count(), func.count(items.file_id.distinct()))
        with self._reading() as connection:
            frames, videos = connection.execute(counts.where(items.time.is_not(None))).one()
        return frames, videos

    def count_files(self) -> int:
        """Count the files, those that could not be read too."""
        with self._reading() as connection:
            return connection.scalar(select(func.count()).select_from(schema.files)) or 0

    def count_skipped(self) -> int:
        """Count the files that could not be read, whole or in part."""
        with self._reading() as connection:
            broken = (
                select(func.count()).select_from(schema.files).where(schema.files.c.reasons != [])
            )
            return connection.scalar(broken) or 0

    def roots(self) -> list[Path]:
        """Return the folders that were indexed."""
        with self._reading() as connection:
            return file_rows.all_roots(connection)

    def selected(self, kind: Kind, where: Filter) -> IdSet:
        """Return the items of a kind that a filter lets through, by their ids or the others'.

        Raises:
            UsageError: the library is of a format before filters.
        """
        frames = self._described_format(where) >= 4
        with self._reading() as connection:
            return filter_ids.selected(connection, kind, where, frames=frames)

    def newest(
        self,
        kind: Kind,
        where: Filter,
        limit: int | None = None,
        *,
        oldest: bool = False,
        frames: bool = True,
    ) -> list[int]:
        """Return the ids of items that a filter lets through, newest first, undated ones last.

        Args:
            kind: of the items.
            where: the filter.
            limit: how many at most; None for all.
            oldest: the oldest first, undated ones last.
            frames: all frames of a video, not the first alone.

        Raises:
            UsageError: the library is of a format before filters.
        """
        items, files, photos = schema.items, schema.files, schema.photos
        dated = items.join(files).outerjoin(photos, photos.c.file_id == files.c.id)
        found = select(items.c.id).select_from(dated)
        query = found.where(files.c.kind == kind, compiled(where))
        if self._described_format(where) >= 4 and not frames:
            first = select(func.min(items.c.id)).where(items.c.time.is_not(None))
            firsts = first.group_by(items.c.file_id)
            query = query.where(or_(items.c.time.is_(None), items.c.id.in_(firsts)))
        taken = photos.c.taken.asc() if oldest else photos.c.taken.desc()
        ordered = query.order_by(taken.nulls_last(), items.c.id).limit(limit)
        with self._reading() as connection:
            return list(connection.scalars(ordered))

    def described(self) -> MetadataSummary:
        """Summarise the metadata of all photos."""
        if self.facts().format < 3:
            return MetadataSummary()
        with self._reading() as connection:
            return photo_rows.described(connection)

    def known(self, paths: Iterable[Path]) -> dict[Path, FileRecord]:
        """Return the records of the files at these paths."""
        with self._believing():
            rows = self._rows_in(select(schema.files), schema.files.c.path, paths)
            return {row.path: file_rows.known_file(row) for row in rows}

    def with_content(self, digests: Iterable[bytes]) -> list[FileRecord]:
        """Return the known files whose content has one of these hashes."""
        with self._believing():
            rows = self._rows_in(select(schema.files), schema.files.c.digest, digests)
            return [file_rows.known_file(row) for row in rows]

    def files_below(self, roots: Iterable[Path]) -> set[int]:
        """Return the ids of the files below these folders; a root may be a file itself."""
        inside = or_(*(below(root) for root in roots))
        with self._reading() as connection:
            return set(connection.scalars(select(schema.files.c.id).where(inside)))

    def states(self, roots: Iterable[Path]) -> Iterator[tuple[int, State]]:
        """Yield id and state of the files below these folders, by id; see
        `indexer.catalog.unseen_files`.

        One that could not be read whole, or was missing, has no stamp: it has to be looked at.
        """
        files = schema.files.c
        whole = case((and_(files.reasons == [], files.missing.is_(None)), files.stamp))
        path = type_coerce(files.path, LargeBinary)
        inside = or_(*(below(root) for root in roots))
        dates = (files.mtime_ns, files.ctime_ns, files.inode)
        wanted = select(files.id, path, files.size, *dates, whole).where(inside)
        with self._reading() as connection:
            for id_, *state in connection.execute(wanted.order_by(files.id)):
                yield id_, tuple(state)

    def located(self, roots: Iterable[Path]) -> Iterator[tuple[int, str]]:
        """Yield id and path of the files below these folders."""
        files = schema.files.c
        inside = or_(*(below(root) for root in roots))
        wanted = select(files.id, type_coerce(files.path, LargeBinary)).where(inside)
        with self._reading() as connection:
            for id_, path in connection.execute(wanted):
                yield id_, os.fsdecode(path)

    def missing(self) -> set[int]:
        """Return the ids of the files that the last run did not find, and kept."""
        if self.facts().format < 5:
            return set()
        with self._reading() as connection:
            kept = select(schema.files.c.id).where(schema.files.c.missing.is_not(None))
            return set(connection.scalars(kept))

    def folders(self) -> dict[Path, FolderState]:
        """Return the folders that index runs entered, as they were then."""
        if self.facts().format < 5:
            return {}
        with self._reading() as connection:
            return file_rows.all_folders(connection)

    def paths(self, file_ids: Iterable[int]) -> dict[int, Path]:
        """Return the paths of these files."""
        columns = select(schema.files.c.id, schema.files.c.path)
        return {row.id: row.path for row in self._rows_in(columns, schema.files.c.id, file_ids)}

    def photo_files(self, roots: Sequence[Path]) -> list[CatalogPhoto]:
        """Return the photos below these folders, or all if none is named, by path. No videos."""
        files = schema.files.c
        stills = [schema.items.c.time.is_(None)] if self.facts().format >= 4 else []
        among = [or_(*map(below, roots))] if roots else []
        wanted = (
            select(schema.items.c.id, files.path, files.size, files.mtime_ns, files.digest)
            .join(schema.files)
            .where(files.kind == Kind.PHOTO, *stills, *among)
            .order_by(files.path)
        )
        with self._reading() as connection:
            return [CatalogPhoto(**row._asdict()) for row in connection.execute(wanted)]

    def unread(
        self, reader: str, roots: Sequence[Path] = (), *, again: bool = False
    ) -> list[UnreadPhoto]:
        """Return the photos below these folders, or all, whose text this reader has not read.

        Args:
            reader: what reads; what another one read counts as unread.
            roots: folders; none for all.
            again: return those that were read, too.
        """
        files, items, readings = schema.files.c, schema.items.c, schema.readings.c
        joined = schema.items.join(schema.files).outerjoin(
            schema.readings, readings.file_id == files.id
        )
        fresh = [] if again else [or_(readings.reader.is_(None), readings.reader != reader)]
        among = [or_(*map(below, roots))] if roots else []
        wanted = (
            select(
                files.id.label("file"),
                items.id.label("item"),
                *(files.path, files.size, files.mtime_ns, files.digest),
            )
            .select_from(joined)
            .where(files.kind == Kind.PHOTO, items.time.is_(None), *fresh, *among)
            .order_by(items.id)
        )
        with self._reading() as connection:
            return [UnreadPhoto(**row._asdict()) for row in connection.execute(wanted)]

    def still_there(self, photos: Iterable[UnreadPhoto]) -> list[UnreadPhoto]:
        """Return those of some photos that the catalog still holds as they were."""
        asked = list(photos)
        columns = select(schema.files.c.id, schema.files.c.digest)
        rows = self._rows_in(columns, schema.files.c.id, [photo.file for photo in asked])
        held = {row.id: row.digest for row in rows}
        return [photo for photo in asked if held.get(photo.file) == photo.digest]

    def _rows_in(self, query: Any, column: Column[Any], values: Iterable[Any]) -> list[Row[Any]]:
        """Run a query for the rows whose column has one of the values."""
        with self._reading() as connection:
            return [
                row
                for chunk in chunks(list(values))
                for row in connection.execute(query.where(column.in_(chunk)))
            ]

    def item_ids(self, kind: Kind) -> Ids:
        """Return the ids of all items of a kind, ascending. Shape (items,)."""
        theirs = select(schema.items.c.id).join(schema.files).where(schema.files.c.kind == kind)
        with self._reading() as connection:
            ids = connection.scalars(theirs.order_by(schema.items.c.id)).all()
            return np.array(ids, dtype=np.int64)

    def holdings(self) -> list[NewFile]:
        """Return every file with its items, as it was added.

        Raises:
            LibraryDamaged: a row is not what was written.
        """
        format_ = self.facts().format
        query = select(*schema.known_in(format_, *schema.items.c)).order_by(schema.items.c.id)
        columns = schema.known_in(format_, *schema.files.c)
        items: dict[int, list[Row[Any]]] = defaultdict(list)
        with self._reading() as connection:
            for row in connection.execute(query):
                items[row.file_id].append(row)
            files = [file_rows.known_file(row) for row in connection.execute(select(*columns))]
            told = photo_rows.read(connection, format_) if format_ >= 3 else {}
            read = reading_rows.read(connection, format_)
            return [
                replace(
                    file_rows.new_file(file, items[file.id]),
                    about=told.get(file.id),
                    reading=read.get(file.id),
                )
                for file in files
            ]

    def faults(self) -> list[str]:
        """Return what is wrong with the rows and the words; empty if nothing is."""
        try:
            with self._reading() as connection:
                driver = schema.driver(connection)
                faults = list(_broken_pages(driver))
                if not faults and self.facts().format >= 5:
                    faults = list(row_checksums.faults(driver))
                elif not faults:
                    self.holdings()
                if not faults and self.facts().format >= 3:
                    faults = list(fulltext.faults(driver))
        except LibraryDamaged as error:
            return [error.fault]
        except sqlite3.Error as error:
            meant = failure(self._path, error)
            if not isinstance(meant, LibraryDamaged):
                raise meant from error
            return [meant.fault]
        return faults

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One transaction that changes nothing."""
        with self._believing(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _believing(self) -> Iterator[None]:
        """Take a row that cannot be read for what it is: damage."""
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            fault = f"is broken (a row cannot be read: {error})"
            raise LibraryDamaged(self._path, fault, mending(self._path.parent)) from error

    def _described_format(self, where: Filter) -> int:
        """Return the format of a catalog that knows what a filter needs.

        Raises:
            UsageError: it does not.
        """
        format_ = self.facts().format
        if format_ < 3:
            raise UsageError(
                f"{self._path.parent} has no dates, places and words yet; add them with: "
                "twinlens index FOLDER"
            )
        if format_ < 6 and any(text_filters(where)):
            raise UsageError(
                f"{self._path.parent} has no text of photos yet; read it with: twinlens read"
            )
        return format_

    # What changes

    def migrate(self) -> bool:
        """Bring a catalog of an older format to this one; tell whether it was older.

        Its vectors stay as they are.
        """
        with self._engine.begin() as connection:
            format_ = int(_read_meta(connection)["format"])
            if format_ >= FORMAT:
                return False
            migrations.migrate(connection, format_)
            _write_meta(connection, {"format": str(FORMAT)})
            row_checksums.seal_all(schema.driver(connection))
            return True

    def apply(self, change: Transaction) -> None:
        """Make one change, whole or not at all."""
        with self._writing(rewrites=change.rewrites) as connection:
            file_rows.set_roots(connection, change.roots, change.forgotten)
            for root in change.forgotten:
                file_rows.forget_folders(connection, root)
            for move in change.moves:
                file_rows.move(connection, move)
            file_rows.forget(connection, change.removed)
            file_rows.touch(connection, change.touches)
            file_rows.miss(connection, change.missing)
            file_rows.put_folders(connection, change.folders)
            if file_rows.add(connection, change.files):
                _note_rewriting(connection)
            reading_rows.put(connection, change.readings)
            _name(connection, change.segments)
            added = sum(len(file.ids) for file in change.files)
            _count_up(connection, "next_id", added)
            _count_up(connection, "next_segment", len(change.segments))

    def merge(self, merge: Merge) -> None:
        """Put new segments in the place of old ones."""
        with self._writing(rewrites=False) as connection:
            for chunk in chunks(merge.old):
                connection.execute(
                    schema.segments.delete().where(schema.segments.c.number.in_(chunk))
                )
            for chunk in chunks(merge.purged.tolist()):
                connection.execute(schema.deleted.delete().where(schema.deleted.c.id.in_(chunk)))
            _name(connection, merge.new)
            _write_meta(connection, {base_key(merge.kind): str(merge.base)})
            _count_up(connection, "next_segment", len(merge.new))

    def keep_only(self, kind: Kind, ids: Ids, *, without: Sequence[int]) -> int:
        """Make the items of a kind those whose vectors are there; count the files that go.

        Args:
            kind: of items and segments.
            ids: that the segments hold, but for those in `without`. Shape (n,).
            without: numbers of segments that are lost.
        """
        gone = np.setdiff1d(self.item_ids(kind), ids).tolist()
        rows = self._rows_in(select(schema.items.c.file_id), schema.items.c.id, gone)
        dropped = sorted({row.file_id for row in rows})
        with self._writing() as connection:
            file_rows.forget(connection, dropped)
            for chunk in chunks(without):
                connection.execute(
                    schema.segments.delete().where(schema.segments.c.number.in_(chunk))
                )
            theirs = select(schema.items.c.id).join(schema.files).where(schema.files.c.kind == kind)
            unused = np.setdiff1d(ids, np.array(connection.scalars(theirs).all(), dtype=np.int64))
            connection.execute(schema.deleted.delete().where(schema.deleted.c.kind == kind))
            values = [{"id": id_, "kind": kind.value} for id_ in unused.tolist()]
            file_rows.insert(connection, schema.deleted, values)
            _write_meta(connection, {base_key(kind): "0"})
        return len(dropped)

    def become(self, facts: LibraryMeta, change: Transaction) -> None:
        """Hold these files and segments, in place of all others, under these facts.

        A photo that stays keeps the text that was read in it.
        """
        with self._writing() as connection:
            read = reading_rows.by_content(connection)
            file_rows.forget(connection, connection.scalars(select(schema.files.c.id)).all())
            connection.execute(schema.segments.delete())
            connection.execute(schema.deleted.delete())
            files = [
                replace(file, reading=file.reading or read.get(file.state.digest))
                for file in change.files
            ]
            file_rows.add(connection, files)
            _name(connection, change.segments)
            _write_meta(connection, {key: str(fact) for key, fact in asdict(facts).items()})
            _write_meta(connection, {base_key(kind): "0" for kind in Kind})

    def move_root(self, old: Path, new: Path) -> list[Path]:
        """Give all that lies below a folder its path below another; return the new paths.

        Raises:
            UsageError: one of them is the path of another file.
        """
        inside = select(schema.files.c.id, schema.files.c.path).where(below(old))
        with self._writing() as connection:
            moved = {row.id: new / row.path.relative_to(old) for row in connection.execute(inside)}
            there = file_rows.ids_at(connection, list(moved.values()))
            clash = [path for path, id_ in there.items() if id_ not in moved]
            if clash:
                more = f" and {len(clash) - 1:,} more below '{new}'" if len(clash) > 1 else ""
                raise UsageError(
                    f"the library already contains {clash[0]}{more}; remove them first with: "
                    f"twinlens forget {new}"
                )
            # Old and new paths may overlap: out of the way first, then to their places.
            file_rows.rename(connection, {id_: b"\0%d" % id_ for id_ in moved})
            file_rows.rename(connection, moved)
            file_rows.move_roots(connection, old, new)
            file_rows.forget_folders(connection, old)
            fulltext.rename(connection, moved, file_rows.all_roots(connection))
        return list(moved.values())

    def rebase(self, kind: Kind, saved: SavedIndexMeta) -> None:
        """Note which segments the saved FAISS index of a kind holds, and how it is searched."""
        facts = {base_key(kind): str(saved.number), plan_key(kind): saved.plan}
        with self._writing(rewrites=False) as connection:
            _write_meta(connection, {**facts, seal_key(kind): saved.seal})

    def note(self, key: str, value: str) -> None:
        """Write one fact."""
        with self._changing() as connection:
            _write_meta(connection, {key: value})

    def tidy(self) -> None:
        """Write the log of commits into the catalog, and empty it: old pages lie in it, too.

        Where a search holds it open, a later writer does.
        """
        with self._engine.connect() as connection:
            driver = schema.driver(connection)
            with suppress(sqlite3.OperationalError):
                driver.execute("PRAGMA busy_timeout=0")
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            driver.execute("PRAGMA busy_timeout=30000")

    def forget_words(self) -> None:
        """Merge the full-text index, which else keeps the words of what was removed."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO words(words) VALUES ('optimize')")

    def rewrite(self) -> None:
        """Rewrite the catalog without what was removed: freed pages, and words."""
        self.forget_words()
        with self._engine.connect() as connection:
            driver = schema.driver(connection)
            try:
                driver.execute("PRAGMA temp_store=DEFAULT")  # else all of it would be in memory
                driver.execute("VACUUM")
            except sqlite3.Error as error:
                raise failure(self._path, error) from error
            finally:
                driver.execute("PRAGMA temp_store=MEMORY")

    @contextmanager
    def _writing(self, *, rewrites: bool = True) -> Iterator[Connection]:
        """One transaction that readers will notice by its generation.

        Args:
            rewrites: whether it changes or removes what is known of files, and not only adds some.
        """
        with self._changing() as connection:
            yield connection
            if rewrites:
                _note_rewriting(connection)
            _count_up(connection, "generation", 1)

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """One transaction whose checksums fit what it leaves."""
        with self._engine.begin() as connection:
            row_checksums.watch(schema.driver(connection))
            yield connection
            row_checksums.seal(schema.driver(connection))


def _broken_pages(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield what SQLite finds wrong."""
    for (fault,) in connection.execute("PRAGMA integrity_check(10)"):
        if fault != "ok":
            yield str(fault)
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"{table} {row} belongs to no {parent}"


def _read_meta(connection: Connection) -> dict[str, str]:
    """Read all facts."""
    return {row.key: row.value for row in connection.execute(select(schema.meta))}


def _write_meta(connection: Connection, facts: dict[str, str]) -> None:
    """Write facts over those of the same key."""
    rows = [{"key": key, "value": value} for key, value in facts.items()]
    connection.execute(schema.meta.insert().prefix_with("OR REPLACE"), rows)


def _count_up(connection: Connection, key: str, by: int) -> None:
    """Move a counter on."""
    _write_meta(connection, {key: str(int(_read_meta(connection)[key]) + by)})


def _note_rewriting(connection: Connection) -> None:
    """Note in which commit something was last changed: the one that is being made."""
    _write_meta(connection, {REWRITTEN: str(int(_read_meta(connection)["generation"]) + 1)})


def _name(connection: Connection, segments: Sequence[SegmentRow]) -> None:
    """Name segments that were written."""
    rows = [{"number": row.number, "kind": row.kind.value, "rows": row.rows} for row in segments]
    file_rows.insert(connection, schema.segments, rows)

"""Everything that a search reads from the catalog.

It uses plain SQL and Python's own `sqlite3`. SQLAlchemy, which `indexer.catalog.writer` uses, takes
longer to import than a search in a library of 100,000 photos takes.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from indexer.catalog.connection import (
    READER_SECONDS,
    Connection,
    connected,
    failure,
    is_passing,
    is_worth_another,
    patience,
)
from indexer.catalog.facets import CaptionWords, FacetColumns, read_columns, read_words
from indexer.catalog.meta import LibraryMeta, VectorSnapshot
from indexer.catalog.snapshot import CatalogSnapshot, Holds
from indexer.core.errors import LibraryDamaged, mending
from indexer.core.types import ItemFile, Kind, Record, TextLine

_UNREADABLE = (sqlite3.Error, ValueError, TypeError, KeyError, OverflowError)
"""What reading a catalog raises where its rows are not what was written."""

T = TypeVar("T")


BROKEN = "catalog.sqlite.broken"
"""The name under which a repair keeps a broken catalog."""


def catalog_path(folder: Path) -> Path:
    """Return where the catalog of a library lies."""
    return folder / "catalog.sqlite"


class CatalogReader:
    """The catalog as a search sees it, one commit at a time. Any thread may ask.

    Each question is a transaction of its own, but for those that `at_one_commit` puts into one.

    Args:
        path: of the database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._alone = threading.RLock()  # one transaction at a time
        self._sqlite: Connection | None = None
        self._open: CatalogSnapshot | None = None  # the transaction of the moment

    def close(self) -> None:
        """Close the database."""
        if self._sqlite is not None:
            self._sqlite.close()
            self._sqlite = None

    def at_one_commit(self, read: Callable[[], T]) -> T:
        """Return what a function reads: all that it asks of this catalog is of one commit.

        Inside another such function it takes part in the same transaction. It runs again where a
        writer changed what a reader without locks reads, or took away files that the commit
        names: so it must do nothing but read.

        Raises:
            LibraryDamaged: something cannot be read, and no newer commit explains why.
        """
        return self._in_transaction(lambda _: read())

    def facts(self) -> LibraryMeta:
        """Return the library's metadata as of the last commit.

        Raises:
            LibraryTooNew: a newer version wrote them.
            LibraryDamaged: some are missing, or no numbers.
        """
        return self._read(lambda snapshot: snapshot.facts)

    def noted(self, key: str) -> str:
        """Return one stored value by its key; empty if it was never stored."""
        return self._read(lambda snapshot: snapshot.meta.get(key, ""))

    def snapshot(self, kind: Kind) -> VectorSnapshot:
        """Return what the last commit says about the vectors of a kind."""
        return self._read(lambda snapshot: snapshot.vectors(kind))

    def count(self, kind: Kind) -> int:
        """Count the items of a kind."""
        snapshot = self.snapshot(kind)
        return sum(segment.rows for segment in snapshot.segments) - len(snapshot.deleted)

    def records(self, ids: Sequence[int]) -> list[Record]:
        """Return the items of these ids in their order; an id without an item gives none."""
        return self._read(lambda snapshot: snapshot.records(ids))

    def lines(self, ids: Sequence[int]) -> dict[int, tuple[TextLine, ...]]:
        """Return the lines of text that photos show, by their ids; those without text give none."""
        return self._read(lambda snapshot: snapshot.lines(ids))

    def file_of(self, item: int) -> ItemFile | None:
        """Return the file of an item; None if there is no such item."""
        return self._read(lambda snapshot: snapshot.file_of(item))

    def digests(self) -> set[bytes]:
        """Return the hashes of the contents of all files."""
        return self._read(lambda snapshot: snapshot.digests())

    def columns(self, kind: Kind, before: FacetColumns | None = None) -> FacetColumns:
        """Return what all items of a kind say, to count them by it; see `read_columns`."""
        return self._read(lambda snapshot: read_columns(snapshot, kind, before))

    def caption_words(self, kind: Kind, before: CaptionWords | None = None) -> CaptionWords:
        """Return how many items of a kind have each word; see `read_words`."""
        return self._read(lambda snapshot: read_words(snapshot, kind, before))

    def of_one_file(self, id_: int) -> list[tuple[int, float | None]]:
        """Return ids and times of all items of the file that an item is of, by id."""
        return self._read(lambda snapshot: snapshot.of_one_file(id_))

    def word_matches(
        self, text: str, kind: Kind, limit: int, *, among: Holds | None = None, every: bool = False
    ) -> list[tuple[int, float]]:
        """Return ids and BM25 scores of the items of a kind that share words, best first.

        A word score is the item's BM25 over the logarithm of the number of items, so that it
        means the same in a small library and a large one: a rare word counts about 1. Words that a
        photo shows count, too; see `indexer.catalog.picture_words`.

        Args:
            text: the words.
            kind: of the items.
            limit: how many items, at most.
            among: which items may be answered, if not all.
            every: only items that have all the words.
        """
        return self._read(
            lambda snapshot: snapshot.word_matches(text, kind, limit, among=among, every=every)
        )

    def _read(self, ask: Callable[[CatalogSnapshot], T]) -> T:
        """Ask one question, in the transaction that is open or in one of its own."""
        return self._in_transaction(lambda snapshot: self._answered(ask, snapshot))

    def _in_transaction(self, read: Callable[[CatalogSnapshot], T]) -> T:
        """Read in one transaction: what is read in it is of one commit.

        Where a writer begins or ends beside a reader that may not write, SQLite can fail for a
        moment; then it is read again.
        """
        with self._alone:
            if self._open is not None:
                return read(self._open)
            until = patience()
            while True:
                snapshot: CatalogSnapshot | None = None
                try:
                    with self._transaction() as snapshot:
                        return read(snapshot)
                except _Changed as changed:
                    if not is_worth_another(changed.reason, until):
                        raise failure(self._path, changed.reason) from changed.reason
                    self.close()
                except LibraryDamaged:
                    if snapshot is None or not self._is_outdated(snapshot):
                        raise

    @contextmanager
    def _transaction(self) -> Iterator[CatalogSnapshot]:
        """Open a transaction for all that is asked in it."""
        connection = self._current()
        self._execute(connection, "BEGIN")
        self._open = CatalogSnapshot(self._path, connection)
        try:
            yield self._open
        finally:
            self._open = None
            if connection.in_transaction:  # a failure may have ended it
                self._execute(connection, "ROLLBACK")

    def _execute(self, connection: Connection, statement: str) -> None:
        """Begin or end a transaction."""
        try:
            connection.execute(statement)
        except _UNREADABLE as error:
            raise self._meaning(connection, error) from error

    def _answered(self, read: Callable[[CatalogSnapshot], T], snapshot: CatalogSnapshot) -> T:
        """Read once.

        Raises:
            _Changed: all has to be read again, by a new connection.
        """
        try:
            answer = read(snapshot)
        except _UNREADABLE as error:
            raise self._meaning(snapshot.connection, error) from error
        if snapshot.connection.is_stale():
            raise _Changed(_busy())
        return answer

    def _is_outdated(self, snapshot: CatalogSnapshot) -> bool:
        """Tell whether there is another commit by now: its files may lie in the place of ours."""
        was_read = "meta" in vars(snapshot)
        return was_read and snapshot.generation != self._read(lambda now: now.generation)

    def _current(self) -> Connection:
        """Return a connection to what lies on the disk now."""
        if self._sqlite is not None and self._sqlite.is_stale():
            self.close()
        if self._sqlite is None:
            try:
                self._sqlite = connected(self._path, wait=READER_SECONDS)
            except _UNREADABLE as error:
                raise failure(self._path, error) from error
        return self._sqlite

    def _meaning(self, connection: Connection, error: Exception) -> Exception:
        """Say what it means that something could not be read."""
        if connection.is_stale():
            return _Changed(_busy())
        if is_passing(error):
            return _Changed(error)
        if isinstance(error, sqlite3.Error | UnicodeDecodeError | OverflowError):
            return failure(self._path, error)
        fault = f"is broken (a row cannot be read: {error})"
        return LibraryDamaged(self._path, fault, mending(self._path.parent))


class _Changed(Exception):
    """What was read may be of two commits, or could not be read for a passing reason."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _busy() -> sqlite3.Error:
    """Make the failure that another process is writing."""
    error = sqlite3.OperationalError("another process is writing")
    error.sqlite_errorname = "SQLITE_BUSY"
    return error

"""The items that pass a filter, as a list of ids or as a list of the ids that do not pass.

SQLite takes a third of a microsecond to list an id. If a filter passes most photos, listing the
few that it excludes is faster.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, TableClause, func, select

from indexer.catalog import schema
from indexer.catalog.filter_sql import compiled, read_by, row_fails, row_fits
from indexer.core.filters import AllOf, Filter, Not
from indexer.core.types import Kind

Ids: TypeAlias = NDArray[np.int64]

BROAD = 0.6
"""The share of rows from which on it is cheaper to find the others."""

_SAMPLE = 200  # rows that tell the share, to some hundredths


@dataclass(frozen=True, kw_only=True)
class IdSet:
    """Items of a kind: those of these ids, or all but those.

    Attributes:
        ids: ascending; some may be of items of the other kind, or stand twice. Shape (n,).
        all_but: whether the ids are what is left out.
    """

    ids: Ids
    all_but: bool = False

    def holds(self, ids: Ids) -> NDArray[np.bool_]:
        """Tell which of some items are let through. Shape (n,)."""
        first, behind = (np.searchsorted(self.ids, ids, side) for side in ("left", "right"))
        held: NDArray[np.bool_] = (first < behind) != self.all_but
        return held


def selected(connection: Connection, kind: Kind, where: Filter, *, frames: bool) -> IdSet:
    """Return the items of a kind that a filter lets through.

    Args:
        connection: to a catalog that knows metadata.
        kind: of the items.
        where: the filter.
        frames: whether the catalog knows videos.
    """
    parts = list(_parts(where))
    told = any(read_by(part) == {schema.photos} for part in parts) and kind == Kind.PHOTO
    described = told and _all_described(connection, frames=frames)
    deciding = {schema.files, schema.photos} if described else {schema.files}
    rests = [_rest(connection, part, deciding) for part in parts]
    left_out = [rest for rest in rests if rest is not None]
    if len(left_out) == len(parts):
        none = np.empty(0, dtype=np.int64)
        ids = np.sort(np.concatenate([none, *(_ids(connection, rest) for rest in left_out)]))
        return IdSet(ids=ids, all_but=True)
    broad = [part for part, rest in zip(parts, rests, strict=True) if rest is not None]
    narrow = [part for part, rest in zip(parts, rests, strict=True) if rest is None]
    (first, *more) = narrow
    table = _decider(first, deciding)
    if table is not None and not (more or broad):
        query = _of_rows(table, row_fits(first))
    else:
        query = _let_through(narrow, broad)
    return IdSet(ids=np.sort(_ids(connection, query)))


def _rest(
    connection: Connection, part: Filter, deciding: Collection[TableClause]
) -> Select[Any] | None:
    """Return a query for what a part keeps out, if it lets most items through.

    Args:
        connection: to the catalog.
        part: of a filter.
        deciding: the tables that have a row of each item.
    """
    table = _decider(part, deciding)
    return _contrary(connection, part) if table is None else _failing(connection, part, table)


def _decider(part: Filter, among: Collection[TableClause]) -> TableClause | None:
    """Return the one table whose rows decide a part, if it is among some."""
    read = read_by(part)
    return next(iter(read)) if len(read) == 1 and read <= set(among) else None


def _checked(part: Filter) -> ColumnElement[bool]:
    """Match a part item by item: SQLite would list all that it lets through first."""
    if read_by(part) != {schema.photos}:
        return compiled(part)
    key = schema.photos.c.file_id
    return select(key).where(key == schema.items.c.file_id, row_fits(part)).exists()


def _parts(where: Filter) -> Iterator[Filter]:
    """Cut a filter into parts that must all match, one of each table that decides alone."""
    every = list(_flat(where))
    for table in (schema.photos, schema.files):
        some = tuple(each for each in every if read_by(each) == {table})
        if some:
            yield AllOf(filters=some)
    yield from (each for each in every if read_by(each) not in ({schema.photos}, {schema.files}))


def _flat(where: Filter) -> Iterator[Filter]:
    """Take a filter apart where all parts must match."""
    if isinstance(where, AllOf):
        for each in where.filters:
            yield from _flat(each)
    else:
        yield where


def _failing(connection: Connection, part: Filter, table: TableClause) -> Select[Any] | None:
    """Return a query for the items whose row does not fit, if most rows of a sample do."""
    key = _key(table)
    last = connection.scalar(select(func.max(key))) or 0
    drawn = np.random.default_rng(0).integers(1, last + 1, _SAMPLE).tolist() if last else []
    sample = select(key).where(key.in_(drawn))
    if _count(connection, sample.where(row_fits(part))) < BROAD * _count(connection, sample):
        return None
    return _of_rows(table, row_fails(part))


def _of_rows(table: TableClause, fits: ColumnElement[bool]) -> Select[Any]:
    """Return a query for the items whose row in `photos` or `files` fits."""
    items, key = schema.items.c, _key(table)
    if table is schema.files:  # else SQLite reads all of each row, not its path in the index alone
        return select(items.id).where(items.file_id.in_(select(key).where(fits)))
    joined = table.join(schema.items, items.file_id == key)
    return select(items.id).select_from(joined).where(fits)


def _key(table: TableClause) -> ColumnElement[int]:
    """Return the column of `photos` or `files` that says of which file a row is."""
    key: ColumnElement[int] = table.c.file_id if table is schema.photos else table.c.id
    return key


def _contrary(connection: Connection, part: Filter) -> Select[Any] | None:
    """Return a query for what a negated part keeps out, if those are few of all items."""
    if not isinstance(part, Not):
        return None
    rest = _let_through([part.filter])
    items = _count(connection, select(schema.items.c.id))
    return rest if _count(connection, rest) < (1 - BROAD) * items else None


def _all_described(connection: Connection, *, frames: bool) -> bool:
    """Return whether each photo has a row in `photos`: not before the first run of this format.

    The items are counted by their vectors, which costs nothing; frames of a video share a row.
    """
    segments, deleted, items = schema.segments, schema.deleted, schema.items
    held = select(func.sum(segments.c.rows)).where(segments.c.kind == Kind.PHOTO)
    photos = (connection.scalar(held) or 0) - _count(
        connection, select(deleted.c.id).where(deleted.c.kind == Kind.PHOTO)
    )
    more = photos - _count(connection, select(schema.photos.c.file_id))
    if more and frames:
        shown = select(func.count() - func.count(items.c.file_id.distinct()))
        more -= connection.scalar(shown.where(items.c.time.is_not(None))) or 0
    return more == 0


def _let_through(narrow: Sequence[Filter], broad: Sequence[Filter] = ()) -> Select[Any]:
    """Return a query for the items that match all parts; their kind is left to the vectors."""
    query = select(schema.items.c.id).where(*map(compiled, narrow), *map(_checked, broad))
    if schema.files in read_by(AllOf(filters=(*narrow, *broad))):
        return query.select_from(schema.items.join(schema.files))
    return query


def _count(connection: Connection, query: Select[Any]) -> int:
    """Count the rows of a query."""
    return connection.scalar(query.with_only_columns(func.count(), maintain_column_froms=True)) or 0


def _ids(connection: Connection, query: Select[Any]) -> Ids:
    """Return what a query for ids finds. Shape (n,)."""
    # One text of all ids: a row each would take ten times as long to fetch.
    (column,) = query.selected_columns
    listed = query.with_only_columns(func.group_concat(column), maintain_column_froms=True)
    return np.fromstring(connection.scalar(listed) or "", dtype=np.int64, sep=",")

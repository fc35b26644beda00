"""Filters of a search, for Python: the command line's own, joined by `&`, `|` and `~`.

    from retrieval import filters as f
    lib.search("a dog", where=f.after("2019") & f.near("Rome") & ~f.tag("work"))

Each takes what the command line takes behind the colon, and refuses what it refuses; see
`retrieval.search.filter_syntax`. What a photo does not say matches no filter. Two places joined by
`&` must both match; where a query of the command line names two, one is enough: that is `|`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from os import PathLike, fspath
from pathlib import Path
from typing import TypeAlias

from indexer.core.filters import AllOf, AnyOf, Filter, Not
from indexer.core.types import Orientation
from retrieval.errors import QueryInvalid
from retrieval.search.filter_syntax import (
    MOST_FILTERS,
    parse_filters,
    places_meant,
    split_filters,
    written_filters,
)
from retrieval.search.query import Query

Day: TypeAlias = str | int | date
"""A year, month, day or minute: 2019, "2019-07", `date(2019, 7, 14)`."""


@dataclass(frozen=True, kw_only=True)
class FilterExpression:
    """Which items a search may return. Join two with `&` or `|`; `~` turns one round.

    Attributes:
        filter: as the library reads it.
        written: as a person writes it in a query.
        notes: which place each name is taken as.
        count: of the single filters in it.
    """

    filter: Filter
    written: str
    notes: tuple[str, ...] = ()
    count: int = 1

    def __and__(self, other: FilterExpression) -> FilterExpression:
        return self._joined(other, AllOf(filters=(self.filter, other.filter)), " ")

    def __or__(self, other: FilterExpression) -> FilterExpression:
        return self._joined(other, AnyOf(filters=(self.filter, other.filter)), " or ")

    def __invert__(self) -> FilterExpression:
        alone = self.count == 1 and not self.written.startswith("-")
        written = f"-{self.written}" if alone else f"not ({self.written})"
        return replace(self, filter=Not(filter=self.filter), written=written)

    def _joined(self, other: FilterExpression, filter_: Filter, sign: str) -> FilterExpression:
        """Join two expressions.

        Raises:
            QueryInvalid: there are too many filters in them.
        """
        count = self.count + other.count
        if count > MOST_FILTERS:
            raise QueryInvalid(f"{count:,} filters are too many; use at most {MOST_FILTERS}")
        written = f"{self._grouped(sign)}{sign}{other._grouped(sign)}"
        notes = tuple(dict.fromkeys(self.notes + other.notes))
        return FilterExpression(filter=filter_, written=written, notes=notes, count=count)

    def _grouped(self, sign: str) -> str:
        """Write it as a part of a longer expression."""
        return f"({self.written})" if sign == " " and " or " in self.written else self.written


def after(day: Day) -> FilterExpression:
    """Photos taken from that year, month, day or minute on."""
    return _one("after", _day(day))


def before(day: Day) -> FilterExpression:
    """Photos taken before that year, month, day or minute."""
    return _one("before", _day(day))


def near(place: str | tuple[float, float], km: float | None = None) -> FilterExpression:
    """Photos taken around a town or a position in degrees (latitude, longitude), or in a country.

    Args:
        place: "Rome", "Italy", "Paris, Texas", or (41.9, 12.5).
        km: how far around, 25 unless said.
    """
    named = place if isinstance(place, str) else f"{place[0]},{place[1]}"
    return _one("near", named if km is None else f"{named},{km:g}")


def camera(name: str) -> FilterExpression:
    """Photos of a camera with these words in its name."""
    return _one("camera", name)


def folder(path: str | PathLike[str]) -> FilterExpression:
    """Files below a folder, by its path; or in folders with these words in their name."""
    return _one("in", path if isinstance(path, str) else _absolute(path))


def tag(name: str) -> FilterExpression:
    """Photos with a keyword."""
    return _one("tag", name)


def shows_text(words: str) -> FilterExpression:
    """Photos that show these words side by side, if their text was read."""
    return _one("text", words)


def file_type(name: str) -> FilterExpression:
    """Files of a type: "jpg", "heic", "raw", "video"."""
    return _one("type", name)


def orientation(held: str | Orientation) -> FilterExpression:
    """Photos held so: "landscape", "portrait" or "square"."""
    return _one("orientation", str(held))


def rating(stars: int) -> FilterExpression:
    """Photos of so many stars or more, from 1 to 5."""
    return _one("rating", str(stars))


Where: TypeAlias = FilterExpression | str | Iterable[tuple[str, str]]
"""Filters of a search: joined functions of this module, "after:2019 -tag:work", or names and
values."""


def expression(where: Where) -> FilterExpression:
    """Return filters in one expression.

    Raises:
        QueryInvalid: a filter cannot be understood, or there is none.
    """
    if isinstance(where, FilterExpression):
        return where
    pairs = pairs_of(where) or []
    found = parse_filters(pairs)
    if found is None:
        raise QueryInvalid("there is no filter in `where`; write e.g. after:2019 or -tag:work")
    return FilterExpression(
        filter=found,
        written=written_filters(pairs),
        notes=places_meant(pairs),
        count=len(pairs),
    )


def pairs_of(where: Where | None) -> list[tuple[str, str]] | None:
    """Return filters as names and values; None for an expression, which may be joined otherwise.

    Raises:
        QueryInvalid: there are words beside the filters.
    """
    if isinstance(where, FilterExpression):
        return None
    if not isinstance(where, str):
        return list(where or ())
    words, pairs = split_filters(where)
    if words:
        raise QueryInvalid(f"'{words}' is no filter; write e.g. after:2019 or -tag:work")
    return pairs


def narrowed(query: Query, where: FilterExpression) -> Query:
    """Return a query that looks among what passes a filter as well."""
    among = where.filter if query.where is None else AllOf(filters=(query.where, where.filter))
    return replace(
        query,
        where=among,
        filters=" ".join(filter(None, (query.filters, where.written))),
        notes=tuple(dict.fromkeys(query.notes + where.notes)),
    )


def _one(name: str, value: str) -> FilterExpression:
    """Read one filter, as the command line does."""
    return expression([(name, value)])


def _day(day: Day) -> str:
    """Write a day as the command line takes it."""
    if isinstance(day, datetime):
        return day.replace(tzinfo=None).isoformat(timespec="seconds")
    return day.isoformat() if isinstance(day, date) else str(day)


def _absolute(path: PathLike[str]) -> str:
    """Write a path so that it is not taken for the name of a folder."""
    return str(Path(fspath(path)).expanduser().absolute())

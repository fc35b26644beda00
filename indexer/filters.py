"""Filters: which items a search may answer, as plain values that compile to SQL.

They are applied before the vector search, so that k items come back whenever k match.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import numpy as np
from sqlalchemy import CTE, ColumnElement, Text, and_, cast, false, func, not_, or_, select, true

from indexer import tables, words
from indexer.errors import UsageError
from indexer.places import EARTH_KM, chord, on_sphere
from indexer.types import Orientation


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Photos taken from `since` on and before `until`, in local time; None is open."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Near:
    """Photos taken at most `km` from a position in degrees, along the ground."""

    latitude: float
    longitude: float
    km: float

    def __post_init__(self) -> None:
        if not (abs(self.latitude) <= 90 and abs(self.longitude) <= 180 and self.km > 0):
            raise UsageError(
                f"no circle of {self.km:g} km around {self.latitude:g}, {self.longitude:g} on earth"
            )


@dataclass(frozen=True, kw_only=True)
class Place:
    """Photos whose place name holds these words: a country has no position, but a name."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Photos whose camera's name holds each of these words, or parts of words."""

    name: str


@dataclass(frozen=True, kw_only=True)
class In:
    """Items in a folder: below a path, or in any folder whose name holds these words."""

    folder: Path | str


@dataclass(frozen=True, kw_only=True)
class Tag:
    """Photos with a keyword; case makes no difference."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Type:
    """Files with one of these suffixes, such as ".jpg"."""

    suffixes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Held:
    """Photos of an orientation."""

    orientation: Orientation


@dataclass(frozen=True, kw_only=True)
class Rated:
    """Photos of so many stars or more."""

    at_least: int


@dataclass(frozen=True, kw_only=True)
class AllOf:
    """What matches each of these filters; everything, if there is none."""

    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AnyOf:
    """What matches one of these filters."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, kw_only=True)
class Not:
    """What does not match a filter."""

    filter: Filter


Told: TypeAlias = Taken | Near | Camera | Held | Rated
"""Filters of what the row of a photo says."""

Filter: TypeAlias = Told | Place | In | Tag | Type | AllOf | AnyOf | Not


def compiled(where: Filter) -> ColumnElement[bool]:
    """Return a filter as a condition on `items` joined with `files`."""
    match where:
        case AllOf(filters=filters):
            told = [each for each in filters if isinstance(each, Told)]
            others = [each for each in filters if not isinstance(each, Told)]
            return and_(_told(told) if told else true(), *map(compiled, others))
        case AnyOf(filters=filters):
            return or_(false(), *map(compiled, filters))
        case Not(filter=filter_):
            return not_(compiled(filter_))
        case In(folder=Path() as folder):
            return below(folder)
        case In(folder=name):
            return _worded(str(name), "folders")
        case Place(name=name):
            return _worded(name, "place")
        case Tag(name=name):
            tagged = select(tables.tags.c.file_id).where(tables.tags.c.tag == name.casefold())
            return tables.files.c.id.in_(tagged)
        case Type(suffixes=suffixes):
            return or_(*map(_ends_with, suffixes))
        case _:
            return _told([where])


def below(root: Path) -> ColumnElement[bool]:
    """Match a path and all below it: the range of bytes that begin with it and a separator."""
    name, separator = os.fsencode(root), os.fsencode(os.sep)
    first = name if name.endswith(separator) else name + separator
    last = first[:-1] + bytes([first[-1] + 1])
    path = tables.files.c.path
    return or_(path == name, (path >= first) & (path < last))


def _told(filters: Sequence[Told]) -> ColumnElement[bool]:
    """Match files whose photo matches each filter; one look at `photos` serves them all."""
    told = select(tables.photos.c.file_id).where(*map(_photo, filters))
    return tables.files.c.id.in_(told)


def _photo(where: Told) -> ColumnElement[bool]:
    """Return a filter of metadata as a condition on `photos`."""
    photos = tables.photos.c
    match where:
        case Taken(since=since, until=until):
            since_then = photos.taken >= since.isoformat() if since else photos.taken.is_not(None)
            return and_(since_then, photos.taken < until.isoformat()) if until else since_then
        case Near():
            return _near(where)
        case Camera(name=name):
            cameras = _cameras()
            spoken = (func.instr(func.lower(cameras.c.camera), word) > 0 for word in _words(name))
            return photos.camera.in_(select(cameras.c.camera).where(*spoken))
        case Rated(at_least=stars):
            return photos.rating >= stars
        case Held(orientation=Orientation.SQUARE):
            return and_(photos.width == photos.height, photos.width > 0)
        case Held(orientation=Orientation.LANDSCAPE):
            return photos.width > photos.height
        case Held():
            return photos.width < photos.height


def _cameras() -> CTE:
    """Return the cameras, each once: the index is asked for the next one after each.

    They are few, so this takes no time; DISTINCT would read the whole index.
    """
    camera = tables.photos.c.camera
    found = select(func.min(camera).label("camera")).cte("cameras", recursive=True)
    following = select(func.min(camera)).where(camera > found.c.camera).scalar_subquery()
    return found.union_all(select(following).where(found.c.camera.is_not(None)))


def _near(where: Near) -> ColumnElement[bool]:
    """Compare straight distances through the earth; the band of latitudes uses the index."""
    photos = tables.photos.c
    (here,) = on_sphere(np.array([where.latitude]), np.array([where.longitude])).tolist()
    x, y, z = photos.x - here[0], photos.y - here[1], photos.z - here[2]
    band = math.degrees(where.km / EARTH_KM)
    inside = photos.latitude.between(where.latitude - band, where.latitude + band)
    return and_(inside, x * x + y * y + z * z <= chord(where.km) ** 2)


def _worded(name: str, column: str) -> ColumnElement[bool]:
    """Match words in a column of the full-text index."""
    return tables.items.c.id.in_(select(tables.words.c.rowid).where(words.phrase(name, column)))


def _ends_with(suffix: str) -> ColumnElement[bool]:
    """Match the end of a path, in any case."""
    return func.lower(cast(func.substr(tables.files.c.path, -len(suffix)), Text)) == suffix


def _words(name: str) -> Sequence[str]:
    """Cut a name into words, in small letters."""
    return name.lower().split()

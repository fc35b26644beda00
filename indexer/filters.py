"""Filters become SQL: which items a search may answer.

They are applied before the vector search, so that k items come back whenever k match.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import CTE, ColumnElement, Text, and_, cast, false, func, not_, or_, select, true
from sqlalchemy.dialects import sqlite

from indexer import tables, words
from indexer.places import EARTH_KM, chord, on_sphere
from indexer.types import Orientation
from indexer.view import Condition
from indexer.wanted import (
    AllOf,
    AnyOf,
    Camera,
    Filter,
    Held,
    In,
    Near,
    Not,
    Place,
    Rated,
    Tag,
    Taken,
    Told,
    Type,
)


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


def written(where: Filter) -> Condition:
    """Return a filter as SQL with named values."""
    said = compiled(where).compile(
        dialect=sqlite.dialect(paramstyle="named"), compile_kwargs={"render_postcompile": True}
    )
    return Condition(sql=str(said), values=said.construct_params())


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

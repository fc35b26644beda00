"""Filter expressions as SQL conditions on the items that a search may return.

They are applied before the vector search, so k items come back whenever k items pass.
"""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from sqlalchemy import (
    CTE,
    ColumnElement,
    LargeBinary,
    TableClause,
    and_,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from indexer.catalog import fulltext, picture_words, schema
from indexer.core.filters import (
    AllOf,
    AnyOf,
    CameraName,
    DateRange,
    FileType,
    Filter,
    HasOrientation,
    HasTag,
    InFolder,
    MinRating,
    NearPosition,
    Not,
    PlaceName,
    ShowsText,
    Told,
)
from indexer.core.gazetteer import EARTH_KM, chord, on_sphere
from indexer.core.text_normalization import same, tokens, writings
from indexer.core.types import Orientation


def compiled(where: Filter) -> ColumnElement[bool]:
    """Return a filter as a condition on `items` joined with `files`."""
    match where:
        case AllOf(filters=filters):
            told = tuple(each for each in filters if isinstance(each, Told))
            others = [each for each in filters if not isinstance(each, Told)]
            return and_(
                _by_metadata(AllOf(filters=told)) if told else true(), *map(compiled, others)
            )
        case AnyOf(filters=filters):
            return or_(false(), *map(compiled, filters))
        case Not(filter=filter_):
            return not_(compiled(filter_))
        case InFolder(folder=Path() as folder):
            return below(folder)
        case InFolder(folder=name):
            return _word_in(str(name), "folders")
        case HasTag(name=name):
            tagged = select(schema.tags.c.file_id).where(schema.tags.c.tag.in_(_tags(name)))
            return schema.items.c.file_id.in_(tagged)
        case ShowsText(text=text):
            return _shows(text)
        case FileType(suffixes=suffixes):
            return _ends_with(suffixes)
        case _:
            return _by_metadata(where)


def read_by(where: Filter) -> set[TableClause]:
    """Return the tables that decide a filter."""
    match where:
        case AllOf(filters=filters) | AnyOf(filters=filters):
            return set().union(*map(read_by, filters))
        case Not(filter=filter_):
            return read_by(filter_)
        case InFolder(folder=Path()) | FileType():
            return {schema.files}
        case InFolder():
            return {schema.words}
        case HasTag():
            return {schema.tags}
        case ShowsText():
            return {schema.words}
        case _:
            return {schema.photos}


def row_fits(where: Filter) -> ColumnElement[bool]:
    """Return a filter that `photos` alone decides, or `files`, as a condition on its rows."""
    match where:
        case AllOf(filters=filters):
            return and_(true(), *map(row_fits, filters))
        case AnyOf(filters=filters):
            return or_(false(), *map(row_fits, filters))
        case Not(filter=filter_):
            return row_fails(filter_)
        case (
            DateRange()
            | NearPosition()
            | PlaceName()
            | CameraName()
            | HasOrientation()
            | MinRating()
        ):
            return _photo(where)
        case _:
            return compiled(where)


def row_fails(where: Filter) -> ColumnElement[bool]:
    """Return the contrary of `row_fits`, such that SQLite sees which index finds those rows."""
    photos = schema.photos.c
    match where:
        case AllOf(filters=filters):
            return or_(false(), *map(row_fails, filters))
        case AnyOf(filters=filters):
            return and_(true(), *map(row_fails, filters))
        case Not(filter=filter_):
            return row_fits(filter_)
        case InFolder(folder=Path() as folder):
            return _not_below(folder)
        case FileType():
            return not_(compiled(where))
        case DateRange(since=since, until=until):
            early = [photos.taken < since.isoformat()] if since else []
            late = [photos.taken >= until.isoformat()] if until else []
            return or_(photos.taken.is_(None), *early, *late)
        case CameraName():
            return _by_camera(where, named=False)
        case _:
            return row_fits(where).is_not(true())


def below(root: Path) -> ColumnElement[bool]:
    """Match a path and all below it: the range of bytes that begin with it and a separator."""
    path, (name, first, last) = schema.files.c.path, _range(root)
    return or_(path == name, (path >= first) & (path < last))


def _not_below(root: Path) -> ColumnElement[bool]:
    """Match all that lies neither there nor below."""
    path, (name, first, last) = schema.files.c.path, _range(root)
    return and_(path != name, or_(path < first, path >= last))


def _range(root: Path) -> tuple[bytes, bytes, bytes]:
    """Return a path, where the paths below it begin, and where those behind it do."""
    name, separator = os.fsencode(root), os.fsencode(os.sep)
    first = name if name.endswith(separator) else name + separator
    return name, first, first[:-1] + bytes([first[-1] + 1])


def _by_metadata(where: Filter) -> ColumnElement[bool]:
    """Match items by their photo's metadata; one lookup in `photos` serves all parts."""
    return schema.items.c.file_id.in_(select(schema.photos.c.file_id).where(row_fits(where)))


def _photo(where: Told) -> ColumnElement[bool]:
    """Return a filter of metadata as a condition on `photos`."""
    photos = schema.photos.c
    match where:
        case DateRange(since=since, until=until):
            since_then = photos.taken >= since.isoformat() if since else photos.taken.is_not(None)
            return and_(since_then, photos.taken < until.isoformat()) if until else since_then
        case NearPosition():
            return _near(where)
        case PlaceName(name=name, others=others):
            return _within((name, *others))
        case CameraName():
            return _by_camera(where, named=True)
        case MinRating(at_least=stars):
            return photos.rating >= stars
        case HasOrientation(orientation=Orientation.SQUARE):
            return and_(photos.width == photos.height, photos.width > 0)
        case HasOrientation(orientation=Orientation.LANDSCAPE):
            return photos.width > photos.height
        case HasOrientation():
            return photos.width < photos.height


def _by_camera(where: CameraName, *, named: bool) -> ColumnElement[bool]:
    """Match photos of the cameras that are named so, or of all others."""
    cameras = _cameras()
    name, called = same(where.name), func.same(cameras.c.camera)
    words = (func.instr(called, word) > 0 for word in dict.fromkeys(name.split()))
    asked = [called == name] if where.whole else words
    spoken = and_(cameras.c.camera.is_not(None), *asked)
    among = select(cameras.c.camera).where(spoken if named else not_(spoken))
    return schema.photos.c.camera.in_(among)


def _cameras() -> CTE:
    """Return the cameras, each once: the index is asked for the next one after each.

    They are few, so this takes no time; DISTINCT would read the whole index.
    """
    camera = schema.photos.c.camera
    found = select(func.min(camera).label("camera")).cte(recursive=True, nesting=True)
    following = select(func.min(camera)).where(camera > found.c.camera).scalar_subquery()
    return found.union_all(select(following).where(found.c.camera.is_not(None)))


def _near(where: NearPosition) -> ColumnElement[bool]:
    """Match by position, or by the written place of photos that have none."""
    around = _around(where)
    if not where.names:
        return around
    photos = schema.photos.c
    named = (",".join(dict.fromkeys(map(same, each))) for each in (where.names, where.ends))
    written = func.written_in(photos.place, *named)
    return or_(around, and_(photos.latitude.is_(None), photos.place != "", written))


def _around(where: NearPosition) -> ColumnElement[bool]:
    """Compare straight distances through the earth; the band of latitudes uses the index."""
    photos = schema.photos.c
    (here,) = on_sphere(np.array([where.latitude]), np.array([where.longitude])).tolist()
    x, y, z = photos.x - here[0], photos.y - here[1], photos.z - here[2]
    band = math.degrees(where.km / EARTH_KM)
    inside = photos.latitude.between(where.latitude - band, where.latitude + band)
    return and_(inside, x * x + y * y + z * z <= chord(where.km) ** 2)


def _within(names: Sequence[str]) -> ColumnElement[bool]:
    """Match places that are one of these regions, or end with one: "Rome, Italy" for "Italy"."""
    place = schema.photos.c.place
    ends = (place.ilike(f"%, {_escaped(name)}", escape="\\") for name in names)
    return or_(func.lower(place).in_([func.lower(name) for name in names]), *ends)


def _escaped(name: str) -> str:
    """Take away what % and _ mean to LIKE."""
    return re.sub(r"([\\%_])", r"\\\1", name)


def _tags(name: str) -> list[str]:
    """Return a keyword as catalogs compare it: this format, and those before 5."""
    return list(dict.fromkeys([same(name), *(each.casefold() for each in writings(name))]))


def _word_in(name: str, column: str) -> ColumnElement[bool]:
    """Match words in a column of the full-text index."""
    return schema.items.c.id.in_(select(schema.words.c.rowid).where(fulltext.phrase(name, column)))


def _shows(text: str) -> ColumnElement[bool]:
    """Match photos that show words; an expression of no word matches none."""
    words = tokens(text)
    if not words:
        return false()
    shown = literal_column("words").op("MATCH", is_comparison=True)
    expression = shown(picture_words.phrase_expression(words))
    return schema.items.c.id.in_(select(schema.words.c.rowid).where(expression))


def _ends_with(suffixes: Sequence[str]) -> ColumnElement[bool]:
    """Match the ends of a path, in any case."""
    by_length: dict[int, list[bytes]] = defaultdict(list)
    for suffix in suffixes:
        by_length[len(suffix)] += _cases(suffix)
    path = schema.files.c.path
    ends = (
        func.substr(path, -length, type_=LargeBinary).in_(spelt)
        for length, spelt in by_length.items()
    )
    return or_(false(), *ends)


def _cases(suffix: str) -> Iterator[bytes]:
    """Spell a suffix in small and capital letters, in each mixture of them."""
    for letters in product(*({letter.lower(), letter.upper()} for letter in suffix)):
        yield "".join(letters).encode()

"""Filters as a person writes them, as options or within the words of a query.

| written | lets through |
|---|---|
| `after:2019` `before:2020-07-14` | photos taken from that day on; before that day |
| `near:Rome` `near:Rome,5` `near:41.9,12.5,5` | photos taken so many km around, 25 unless said |
| `near:Italy` | photos taken in that country |
| `camera:x100` | photos of a camera with these words in its name |
| `in:2019` `in:/photos/2019` | files in folders of that name; below that folder |
| `tag:family` | photos with that keyword |
| `type:jpg` `type:raw` `type:video` | files of that type |
| `orientation:portrait` | photos held so: landscape, portrait, square |
| `rating:4` | photos of so many stars or more |

A minus before it turns a filter round: `-tag:family`. A value with spaces has quotes:
`in:"summer 2019"`. Of several places, cameras, folders, types or orientations one is enough; of
all else each must match. What a photo does not say matches no filter.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from indexer.errors import UsageError
from indexer.formats import RAW_SUFFIXES, SUFFIXES, VIDEO_SUFFIXES
from indexer.places import gazetteer
from indexer.types import Orientation, readable
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
    Type,
)
from retrieval.errors import QueryInvalid

NEAR_KM = 25.0
"""How far around a place, unless said: a city with its suburbs."""

MOST_FILTERS = 100
"""Different filters of one search: SQLite takes no condition that is nested a thousand deep."""

LONGEST_VALUE = 4_096
"""Characters behind a colon: no path has more."""

TYPES = {
    "jpg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "tiff": (".tif", ".tiff"),
    "heic": (".heic", ".heif", ".hif"),
    "raw": tuple(sorted(RAW_SUFFIXES)),
    "video": tuple(sorted(VIDEO_SUFFIXES)),
}
"""Types that have several suffixes."""

_SPELLINGS = {
    suffix.lstrip("."): name for name in ("jpg", "tiff", "heic") for suffix in TYPES[name]
}

_EITHER = frozenset({"near", "camera", "in", "type", "orientation"})
_NAMES = "after|before|near|camera|in|tag|type|orientation|rating|min-rating"
_WRITTEN = re.compile(rf'(?<!\S)(-?)({_NAMES}):(?:"([^"]*)"|(\S+))', re.IGNORECASE)
_DATE_FORMATS = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


def split_filters(written: str) -> tuple[str, list[tuple[str, str]]]:
    """Part the words of a query from its filters, as names and values; see the module's table."""
    found = [
        (minus + name.lower(), quoted or plain)
        for minus, name, quoted, plain in _WRITTEN.findall(written)
    ]
    return " ".join(_WRITTEN.sub(" ", written).split()), found


def written_filters(written: Sequence[tuple[str, str]]) -> str:
    """Write names and values of filters as they stand in a query."""
    quoted = (f'{name}:"{value}"' if " " in value else f"{name}:{value}" for name, value in written)
    return " ".join(quoted)


def parse_filters(written: Sequence[tuple[str, str]]) -> Filter | None:
    """Make one filter of names and values; None of none.

    Raises:
        QueryInvalid: a value cannot be understood.
    """
    groups: dict[str, list[Filter]] = defaultdict(list)
    different = dict.fromkeys((name, value.strip()) for name, value in written)
    if len(different) > MOST_FILTERS:
        raise QueryInvalid(
            f"{len(different):,} different filters are too many; use at most {MOST_FILTERS}"
        )
    for name, value in different:
        if len(value) > LONGEST_VALUE:
            raise QueryInvalid(
                f"{name}:{value[:20]}… has {len(value):,} characters; use at most {LONGEST_VALUE}"
            )
        groups[name].append(_parsed(name, value))
    every = [
        AnyOf(filters=tuple(filters)) if name in _EITHER and len(filters) > 1 else each
        for name, filters in groups.items()
        for each in (filters[:1] if name in _EITHER else filters)
    ]
    return None if not every else every[0] if len(every) == 1 else AllOf(filters=tuple(every))


def _parsed(name: str, value: str) -> Filter:
    """Read one filter."""
    if name.startswith("-"):
        return Not(filter=_parsed(name[1:], value))
    if not value:
        raise QueryInvalid(f"{name}: of what? Write a value behind it, e.g. {name}:VALUE")
    return _READERS[name](value)


def _date(value: str) -> datetime:
    """Read the start of a year, month, day or minute."""
    for form in _DATE_FORMATS:
        try:
            return datetime.strptime(value.replace("/", "-"), form)
        except ValueError:
            continue
    raise QueryInvalid(f"'{value}' is no date; write 2019, 2019-07 or 2019-07-14")


def _near(value: str) -> Filter:
    """Read "41.9,12.5,5", "Rome,5", "Rome, Georgia, 5" or a country."""
    parts = [part.strip() for part in value.split(",")]
    numbers = [number for number in map(_number, parts) if number is not None]
    names = [part for part in parts if _number(part) is None]
    if names:
        return _near_town(names, *numbers[:1])
    try:
        latitude, longitude, km = [*numbers, NEAR_KM][:3]
        return Near(latitude=latitude, longitude=longitude, km=km)
    except (ValueError, UsageError) as error:
        raise QueryInvalid(f"near:{value} is no place; write 41.9,12.5,5 or Rome,5") from error


def _near_town(names: Sequence[str], km: float = NEAR_KM) -> Filter:
    """Find a town by name and what it lies in; a country is known by name alone."""
    town = gazetteer().find(names[0], within=names[1:])
    if town is not None:
        return Near(latitude=town.latitude, longitude=town.longitude, km=km)
    if len(names) == 1 and gazetteer().is_country(names[0]):
        return Place(name=names[0])
    raise QueryInvalid(
        f"no town '{', '.join(names)}' is known here; name a larger one nearby, or a position: "
        "near:41.9,12.5,10"
    )


def _number(text: str) -> float | None:
    """Read a number, if it is one."""
    try:
        return float(text)
    except ValueError:
        return None


def _in(value: str) -> In:
    """Tell a path from the name of a folder."""
    if value.startswith(("/", "./", "../", "~")) or Path(value).is_absolute():
        return In(folder=Path(value).expanduser().resolve())
    return In(folder=value)


def _type(value: str) -> Type:
    """Read a type of files, "jpg" or ".jpg"."""
    name = value.lower().lstrip(".")
    suffixes = TYPES.get(_SPELLINGS.get(name, name), (f".{name}",))
    if not set(suffixes) & set(SUFFIXES):
        single = set(SUFFIXES) - set(TYPES["raw"]) - set(TYPES["video"])
        known = sorted({suffix.lstrip(".") for suffix in single} | set(TYPES))
        raise QueryInvalid(f"type:{value} is no type of file here; there are {', '.join(known)}")
    return Type(suffixes=suffixes)


def _held(value: str) -> Held:
    """Read an orientation."""
    try:
        return Held(orientation=Orientation(value.lower()))
    except ValueError as error:
        known = ", ".join(Orientation)
        raise QueryInvalid(f"orientation:{value} is unknown; write one of {known}") from error


def _rated(value: str) -> Rated:
    """Read a number of stars."""
    stars = _number(value)
    if stars is None or not 1 <= stars <= 5:
        raise QueryInvalid(f"rating:{value} is no number of stars; write 1 to 5")
    return Rated(at_least=round(stars))


_READERS: Mapping[str, Callable[[str], Filter]] = {
    "after": lambda value: Taken(since=_date(value)),
    "before": lambda value: Taken(until=_date(value)),
    "near": _near,
    "camera": lambda value: Camera(name=readable(value)),
    "in": _in,
    "tag": lambda value: Tag(name=readable(value)),
    "type": _type,
    "orientation": _held,
    "rating": _rated,
    "min-rating": _rated,
}

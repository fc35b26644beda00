"""Parse filters as a person writes them, as options or within the words of a query.

| written | passes |
|---|---|
| `after:2019` `before:2020-07-14` | photos taken from that day on; before that day |
| `near:Rome` `near:Rome,5` `near:41.9,12.5,5` | photos taken within so many km, 25 by default |
| `near:Italy` `near:Texas` | photos taken in that country or state |
| `near:"=Rome, Italy"` | photos whose place has that name, or ends with it |
| `camera:x100` | photos of a camera with these words in its name |
| `camera:"=Apple iPhone 12"` | photos of the camera of just that name |
| `in:2019` `in:/photos/2019` | files in folders of that name; below that folder |
| `tag:family` | photos with that keyword |
| `text:"total"` | photos that show these words, if their text was read |
| `type:jpg` `type:raw` `type:video` | files of that type |
| `orientation:portrait` | photos of that orientation: landscape, portrait, square |
| `rating:4` | photos with so many stars or more |

A minus negates a filter: `-tag:family`. A value with spaces needs quotes: `in:"summer 2019"`; a
quote within them is doubled: `tag:"12"" singles"`. An equals sign before a camera or a place takes
the name as photos have it. If several places, cameras, folders, types or orientations are given,
one must match; all other filters must match. A photo without the value passes no filter on it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from indexer.core.errors import UsageError
from indexer.core.file_types import RAW_SUFFIXES, SUFFIXES, VIDEO_SUFFIXES
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
)
from indexer.core.gazetteer import gazetteer
from indexer.core.text_normalization import same, tokens, writings
from indexer.core.types import Orientation, printable, readable
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
FILTER_NAMES = (
    *("after", "before", "near", "camera", "in", "tag", "text", "type", "orientation", "rating"),
    "min-rating",
)
_NAMES = "|".join(FILTER_NAMES)
_WRITTEN = re.compile(rf'(?<!\S)(-?)({_NAMES}):(?:"((?:[^"]|"")*)"|(\S+))', re.IGNORECASE)
_PLAIN = re.compile(r'[^\s"]\S*')  # a value that needs no quotes
AS_WRITTEN = "="
"""Before the name of a camera or a place: this name, and no other that holds it."""

_MAYBE = re.compile(r"(?<!\S)-?(([^\W\d_][\w-]+):([^\s:/][^\s:]*))")
_ALIKE = 0.75  # of `difflib`: "camara" and "camera" have 0.83
_MEANT = {
    **dict.fromkeys(("date", "year", "taken", "day", "month", "time"), ("after", "before")),
    **dict.fromkeys(("since", "from"), ("after",)),
    **dict.fromkeys(("until", "till"), ("before",)),
    **dict.fromkeys(("place", "location", "city", "town", "country", "gps", "where"), ("near",)),
    **dict.fromkeys(("folder", "dir", "directory", "path", "album"), ("in",)),
    **dict.fromkeys(("keyword", "keywords", "label", "labels", "tagged"), ("tag",)),
    **dict.fromkeys(("format", "ext", "extension", "filetype", "suffix"), ("type",)),
    **dict.fromkeys(("stars", "star", "rated"), ("rating",)),
    **dict.fromkeys(("make", "model", "cam"), ("camera",)),
}
"""What other programs call a filter."""

_DATE_FORMATS = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


def split_filters(written: str) -> tuple[str, list[tuple[str, str]]]:
    """Part the words of a query from its filters, as names and values; see the module's table."""
    found = [
        (minus + name.lower(), quoted.replace('""', '"') or plain)
        for minus, name, quoted, plain in _WRITTEN.findall(written)
    ]
    return " ".join(_WRITTEN.sub(" ", written).split()), found


def misspelt_filter(words: str) -> str:
    """Say which filter may be meant by a word with a colon in it; empty where none may be."""
    for written, name, value in _MAYBE.findall(words):
        meant = filters_meant(name)
        if meant:
            one = len(meant) == 1
            asked = f"{meant[0]}:{value}" if one else " or ".join(f"{each}:" for each in meant)
            return f"'{written}' is searched for as words; did you mean {asked}?"
    return ""


def filters_meant(name: str) -> tuple[str, ...]:
    """Return the names of the filters that a misspelt or foreign name may mean; () for none."""
    near = get_close_matches(name.lower(), FILTER_NAMES, n=1, cutoff=_ALIKE)
    return _MEANT.get(name.lower(), tuple(near))


def written_filters(written: Sequence[tuple[str, str]]) -> str:
    """Write names and values of filters as they stand in a query; `split_filters` parts them."""
    return " ".join(f"{name}:{_in_quotes(value)}" for name, value in written)


def _in_quotes(value: str) -> str:
    """Write a value, in quotes where it needs them."""
    if _PLAIN.fullmatch(value):
        return value
    doubled = value.replace('"', '""')
    return f'"{doubled}"'


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
        raise QueryInvalid(f"the filter {name}: has no value; write it as {name}:VALUE")
    return _READERS[name](value)


def _date(value: str) -> datetime:
    """Read the start of a year, month, day or minute."""
    for form in _DATE_FORMATS:
        try:
            return datetime.strptime(value.replace("/", "-"), form)
        except ValueError:
            continue
    raise QueryInvalid(f"'{value}' is not a date; write 2019, 2019-07 or 2019-07-14")


def _near(value: str) -> Filter:
    """Read "41.9,12.5,5", "Rome,5", "Rome, Georgia, 5" or a country."""
    if value.startswith(AS_WRITTEN):
        return PlaceName(name=readable(value.removeprefix(AS_WRITTEN)).strip())
    parts = [part.strip() for part in value.split(",")]
    numbers = [number for number in map(_number, parts) if number is not None]
    if len(numbers) < len(parts):
        return _named(value)[0]
    try:
        latitude, longitude, km = [*numbers, NEAR_KM][:3]
        return NearPosition(latitude=latitude, longitude=longitude, km=km)
    except (ValueError, UsageError) as error:
        raise QueryInvalid(f"near:{value} is not a place; write 41.9,12.5,5 or Rome,5") from error


@cache
def _named(value: str) -> tuple[NearPosition | PlaceName, str]:
    """Find what a name means; return the filter, and the place as a person reads it.

    With a distance it is a town if there is one: "Luxembourg,5".
    """
    parts = [part.strip() for part in value.split(",")]
    numbers = [number for number in map(_number, parts) if number is not None]
    name, *within = [part for part in parts if _number(part) is None] or [""]
    known = gazetteer()
    region = known.region(name, within)
    town = known.find(name, within or ((region.name,) if region else ()))
    if region is not None and not (numbers and town and same(town.name) == same(name)):
        kind = "the country " if region.is_country else ""
        return PlaceName(name=region.name, others=region.others), f"{kind}{region.name}"
    if town is None:
        raise QueryInvalid(
            f"no town '{', '.join([name, *within])}' is known here; name a larger one nearby, or a "
            "position: near:41.9,12.5,10"
        )
    km = numbers[0] if numbers else NEAR_KM
    names = (town.name, name, *town.others)
    ends = (*(() if within else names), *known.outer_names(town))
    near = NearPosition(
        latitude=town.latitude, longitude=town.longitude, km=km, names=names, ends=ends
    )
    return near, f"{town.label} ({km:g} km)"


def places_meant(written: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Say which place each name in filters is taken as, once each."""
    told = []
    for name, value in written:
        near = name.lstrip("-") == "near" and not all(map(_is_number, value.split(",")))
        near &= not value.strip().startswith(AS_WRITTEN)
        told += [f"near:{value} is taken as {_named(value.strip())[1]}"] if near else []
    return tuple(dict.fromkeys(told))


def _is_number(text: str) -> bool:
    """Tell a number from a name."""
    return _number(text.strip()) is not None


def _camera(value: str) -> CameraName:
    """Read words of a camera's name, or the whole name behind an equals sign."""
    name = readable(value)
    whole = name.startswith(AS_WRITTEN)
    return CameraName(name=name.removeprefix(AS_WRITTEN).strip(), whole=whole)


def _number(text: str) -> float | None:
    """Read a number, if it is one."""
    try:
        return float(text)
    except ValueError:
        return None


def _in(value: str) -> Filter:
    """Tell a path from the name of a folder. A path may lie there in other code points."""
    if not (value.startswith(("/", "./", "../", "~")) or Path(value).is_absolute()):
        return InFolder(folder=value)
    try:
        folder = Path(value).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise QueryInvalid(f"in:{printable(value)} is not a path; write in:/photos/2019") from error
    every = tuple(InFolder(folder=Path(each)) for each in writings(str(folder)))
    return every[0] if len(every) == 1 else AnyOf(filters=every)


def _shown(value: str) -> ShowsText:
    """Read words that a photo shows."""
    if not tokens(value):
        raise QueryInvalid(f'text:{value} has no letters or digits; write e.g. text:"total"')
    return ShowsText(text=readable(value))


def _type(value: str) -> FileType:
    """Read a type of files, "jpg" or ".jpg"."""
    name = value.lower().lstrip(".")
    suffixes = TYPES.get(_SPELLINGS.get(name, name), (f".{name}",))
    if not set(suffixes) & set(SUFFIXES):
        single = set(SUFFIXES) - set(TYPES["raw"]) - set(TYPES["video"])
        known = sorted({suffix.lstrip(".") for suffix in single} | set(TYPES))
        raise QueryInvalid(f"type:{value} is not a known file type; known are {', '.join(known)}")
    return FileType(suffixes=suffixes)


def _orientation(value: str) -> HasOrientation:
    """Read an orientation."""
    try:
        return HasOrientation(orientation=Orientation(value.lower()))
    except ValueError as error:
        known = ", ".join(Orientation)
        raise QueryInvalid(f"orientation:{value} is unknown; write one of {known}") from error


def _rated(value: str) -> MinRating:
    """Read a number of stars."""
    stars = _number(value)
    if stars is None or not 1 <= stars <= 5:
        raise QueryInvalid(f"rating:{value} is not a number of stars; write 1 to 5")
    return MinRating(at_least=round(stars))


_READERS: Mapping[str, Callable[[str], Filter]] = {
    "after": lambda value: DateRange(since=_date(value)),
    "before": lambda value: DateRange(until=_date(value)),
    "near": _near,
    "camera": _camera,
    "in": _in,
    "tag": lambda value: HasTag(name=readable(value)),
    "text": _shown,
    "type": _type,
    "orientation": _orientation,
    "rating": _rated,
    "min-rating": _rated,
}

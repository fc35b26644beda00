"""Read the tags of a video: QuickTime's, Android's, and those of cameras and converters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from indexer.metadata.dates import is_universal, local_time, read_date
from indexer.metadata.source import (
    Position,
    SourceMetadata,
    camera_name,
    caption,
    first,
    on_earth,
    text,
)

XMP_NAME = "xmp"
"""The tag under which FFmpeg gives the XMP packet, if it is asked to."""

_APPLE = "com.apple.quicktime."
_UNSET_YEARS = frozenset({1903, 1904, 1969, 1970})
"""Videos count seconds from 1904 or 1970; a clock that was never set says so."""
_ISO_6709 = re.compile(r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)")
_LOCAL_CLOCKS = re.compile(r"gopro|^(caep|niko)", re.IGNORECASE)
"""Cameras that have no time zone and write their own clock where universal time belongs: GoPro
names itself in the handlers and encoders, Canon and Nikon by the brand of the file."""


def from_tags(tags: Mapping[str, str]) -> SourceMetadata:
    """Read the tags that phones, cameras and programs write."""
    known = {name.casefold(): _text(value) for name, value in tags.items()}

    def one(*names: str) -> str:
        return first(known.get(name) for name in names) or ""

    position = _position(
        one(f"{_APPLE}location.iso6709", "location", "location-eng", "com.android.location")
    )
    words = one(f"{_APPLE}keywords", "keywords").replace(";", ",").split(",")
    return SourceMetadata(
        taken=_taken(known, position),
        position=position,
        place=tuple(filter(None, [one(f"{_APPLE}location.name")])),
        camera=camera_name(
            one(f"{_APPLE}make", "com.android.manufacturer", "make"),
            one(f"{_APPLE}model", "com.android.model", "model"),
        ),
        keywords=tuple(filter(None, map(str.strip, words))),
        title=one(f"{_APPLE}title", "title"),
        caption=caption(one(f"{_APPLE}description", "description", "comment", "synopsis")),
    )


def _taken(known: Mapping[str, str], position: Position | None) -> datetime | None:
    """Return the date by the clocks of the place: as written with a zone, else made of UTC."""
    for name in (f"{_APPLE}creationdate", "date_recorded", "creation_time", "date"):
        written = known.get(name, "")
        taken = read_date(written)
        if taken is None or taken.year in _UNSET_YEARS:
            continue
        if not is_universal(written) or _is_local(known):
            return taken
        return local_time(taken, position[1] if position else None)
    return None


def _is_local(known: Mapping[str, str]) -> bool:
    """Return whether a camera wrote its own clock in place of universal time."""
    names = ("major_brand", "handler_name", "encoder", "compressor_name")
    return any(_LOCAL_CLOCKS.search(known.get(name, "")) for name in names)


def _position(written: str) -> Position | None:
    """Read "+41.8919+012.5113+021.000/"."""
    found = _ISO_6709.match(written)
    return on_earth(float(found[1]), float(found[2])) if found else None


def _text(value: str) -> str:
    """Return a tag as clean text; bytes that are no UTF-8 came as surrogates."""
    return text(value.encode(errors="surrogateescape")) if value else ""

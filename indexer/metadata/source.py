"""The record of one metadata source, and the cleaning of its values.

The sources are EXIF, IPTC, XMP, the texts of a PNG and the tags of a video; each has a module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

MAX_TEXT = 10_000  # characters of a caption; more is not one

Position: TypeAlias = tuple[float, float]
"""Latitude and longitude in degrees."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_MAKERS_NOISE = re.compile(
    r"\b(corporation|corp|company|co|ltd|inc|imaging|camera|ag|electronics|optical|eastman|"
    r"techmobile|computer|technologies|digital)\b[.,]*",
    re.IGNORECASE,
)
_NO_CAPTION = re.compile(
    r"(olympus digital camera|sony dsc|dcim|dav|hdr|default|digital camera|(\W|_)*|"
    r"(konica )?minolta digital camera|kodak digital still camera|samsung( digital)? camera.*|"
    r"exif_jpeg_picture|created with gimp|screenshot|binary comment)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class SourceMetadata:
    """What one source says.

    Attributes:
        taken: when the picture was made: of a scan, the print.
        digitized: when the file was made: of a scan, the scan.
        position: where.
        place: names of the place, the narrowest first: ("Trastevere", "Rome", "Italy").
        camera: make and model.
        lens: its model.
        rating: 1 to 5 stars, or -1 for rejected.
        keywords: names of faces too.
        title: one line.
        caption: what is seen.
    """

    taken: datetime | None = None
    digitized: datetime | None = None
    position: Position | None = None
    place: tuple[str, ...] = ()
    camera: str = ""
    lens: str = ""
    rating: int | None = None
    keywords: tuple[str, ...] = ()
    title: str = ""
    caption: str = ""


NOTHING = SourceMetadata()


def first(values: Iterable[Any]) -> Any:
    """Return the first value that says something."""
    return next((value for value in values if value), None)


def unique(words: Iterable[str]) -> tuple[str, ...]:
    """Keep the first of the words that differ in case alone."""
    kept: dict[str, str] = {}
    for word in words:
        if word:
            kept.setdefault(word.casefold(), word)
    return tuple(kept.values())


def text(value: Any) -> str:
    """Return a value as clean text. Texts that came as Latin-1 often are UTF-8."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        return ""
    with suppress(UnicodeError):
        value = value.encode("latin-1").decode("utf-8")
    return _CONTROL.sub(" ", value).strip()[:MAX_TEXT]


def caption(words: str) -> str:
    """Drop what cameras write where a caption belongs."""
    return "" if _NO_CAPTION.fullmatch(words) else words


def camera_name(make: str, model: str) -> str:
    """Join make and model as people say them: "NIKON CORPORATION", "NIKON D750": "Nikon D750"."""
    words = _MAKERS_NOISE.sub(" ", make.replace(",", " ")).split()
    maker = words[0] if words else ""
    if maker.islower() or (maker.isupper() and len(maker) > 3):  # LG, DJI and HP are written so
        maker = maker.capitalize()
    rest = model.split()
    if rest and rest[0].casefold() in {maker.casefold(), make.casefold()}:
        rest = rest[1:]
    return " ".join([maker, *rest] if maker else rest)


def on_earth(latitude: float, longitude: float) -> Position | None:
    """Return a position that may be on earth; 0, 0 is a receiver without a fix."""
    there = abs(latitude) <= 90 and abs(longitude) <= 180
    return (latitude, longitude) if there and (latitude or longitude) else None


def degrees(parts: Iterable[float], side: str, negative: str) -> float:
    """Turn degrees, minutes and seconds into degrees, below zero on the negative side."""
    value = sum((part / 60.0**power for power, part in enumerate(parts)), start=0.0)
    return -value if side.upper().startswith(negative) else value


def stars(value: Any) -> int | None:
    """Read a rating of 1 to 5 stars, or -1 for rejected; 0 is none."""
    try:
        rating = round(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return rating if rating == -1 or 1 <= rating <= 5 else None

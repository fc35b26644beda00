"""What a photo says about itself: EXIF, IPTC, the XMP packet, and the `.xmp` file beside it.

| value | taken from, the first that has it |
|---|---|
| title, caption, rating | sidecar, XMP, IPTC, EXIF |
| keywords | all of them together |
| date, position | sidecar, EXIF, XMP, IPTC |
| camera, lens | EXIF, sidecar, XMP |

Of a camera RAW its TIFF directories count as EXIF, of a video the tags of its container.
Each source is read on its own: one that is broken costs its own values alone. A date is the
camera's clock as written; a time zone beside it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from PIL import Image, ImageFile, IptcImagePlugin

from indexer.errors import FileUnreadable
from indexer.photos import BAD_DATA, opened, orientation
from indexer.places import gazetteer
from indexer.raw_tags import raw_exif
from indexer.regular import MAX_SIDECAR_BYTES, read_regular
from indexer.types import Metadata

METADATA_VERSION = 2
"""Raise it when more is read: photos of another version are read again, not embedded again."""

MAX_TEXT = 10_000  # characters of a caption; more is not one
MAX_KEYWORDS = 1_000

_Values: TypeAlias = Mapping[str, list[str]]

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
}
_PREFIXES = {f"{{{address}}}": f"{prefix}:" for prefix, address in _NAMESPACES.items()}

_EXIF_IFD, _GPS_IFD, _XMP = 0x8769, 0x8825, 0x02BC
_APPLE = "com.apple.quicktime."
_UNSET_CLOCK = 1970  # videos count seconds from 1904 or 1970; a clock that was never set says so
_LYING = 5  # from this orientation on, the camera was held upright and width is height
_MAKERS_NOISE = re.compile(
    r"\b(corporation|corp|company|co|ltd|inc|imaging|camera|ag|electronics|optical|eastman|"
    r"techmobile|computer|technologies|digital)\b[.,]*",
    re.IGNORECASE,
)
_NO_CAPTION = re.compile(
    r"(olympus digital camera|sony dsc|dcim|dav|hdr|default|digital camera|(\W|_)*|"
    r"minolta digital camera|kodak digital still camera|samsung( digital)? camera.*)",
    re.IGNORECASE,
)
_DATE = re.compile(r"(\d{4})\D?(\d\d)\D?(\d\d)(?:\D?(\d\d)\D?(\d\d)(?:\D?(\d\d))?)?")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?([NSEW])")
_ISO_6709 = re.compile(r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What one source says. `position` is latitude and longitude in degrees."""

    taken: datetime | None = None
    position: tuple[float, float] | None = None
    camera: str = ""
    lens: str = ""
    rating: int | None = None
    keywords: tuple[str, ...] = ()
    title: str = ""
    caption: str = ""


_NOTHING = _Found()


def with_place(about: Metadata) -> Metadata:
    """Name the position of a photo, if it has one; the towns of the world take 0.2 s to load."""
    if about.latitude is None or about.longitude is None:
        return about
    return replace(about, place=gazetteer().name(about.latitude, about.longitude))


def read_metadata(source: Path | bytes, *, sidecar: Path | None = None) -> Metadata:
    """Read what a photo says about itself; never fails, whatever the file holds.

    Args:
        source: a file, or its bytes.
        sidecar: the `.xmp` file beside it; its values go first.
    """
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        with opened(data) as image:
            exif = _attempt(lambda: _from_exif(image.getexif()))
            xmp = _attempt(lambda: _from_xmp(_xmp(_packet(image))))
            iptc = _attempt(lambda: _from_iptc(image))
            size = image.size if orientation(image) < _LYING else image.size[::-1]
    except BAD_DATA:
        exif = xmp = iptc = _NOTHING
        size = (0, 0)
    return _merged(sidecar=_beside(sidecar), exif=exif, xmp=xmp, iptc=iptc, size=size)


def read_raw_metadata(
    data: bytes, *, size: tuple[int, int], sidecar: Path | None = None
) -> Metadata:
    """Read what a camera RAW says about itself; never fails, whatever it holds.

    Args:
        data: the file.
        size: width and height of the upright photo in pixels.
        sidecar: the `.xmp` file beside it; its values go first.
    """
    exif = Image.Exif()
    with suppress(*BAD_DATA):
        exif = raw_exif(data)
    return _merged(
        sidecar=_beside(sidecar),
        exif=_attempt(lambda: _from_exif(exif)),
        xmp=_attempt(lambda: _from_xmp(_xmp(exif.get(_XMP, b"")))),
        iptc=_NOTHING,
        size=size,
    )


def read_video_metadata(
    tags: Mapping[str, str], *, size: tuple[int, int], sidecar: Path | None = None
) -> Metadata:
    """Read what a video says about itself; arguments as of `read_raw_metadata`.

    Args:
        tags: by the names of its format, as FFmpeg reads them.
        size: width and height of the upright frames in pixels.
        sidecar: the `.xmp` file beside it.
    """
    found = _attempt(lambda: _from_tags(tags))
    return _merged(sidecar=_beside(sidecar), exif=found, xmp=_NOTHING, iptc=_NOTHING, size=size)


def _beside(sidecar: Path | None) -> _Found:
    """Read a sidecar, if there is one."""
    return _attempt(lambda: _from_xmp(_xmp(_sidecar(sidecar)))) if sidecar else _NOTHING


def _merged(
    *, sidecar: _Found, exif: _Found, xmp: _Found, iptc: _Found, size: tuple[int, int]
) -> Metadata:
    """Choose among the sources, value by value; see the module's table."""
    told, clocks = (sidecar, xmp, iptc, exif), (sidecar, exif, xmp, iptc)
    position = _first(each.position for each in clocks)
    latitude, longitude = position or (None, None)
    return Metadata(
        taken=_first(each.taken for each in clocks),
        latitude=latitude,
        longitude=longitude,
        camera=_first(each.camera for each in (exif, sidecar, xmp)) or "",
        lens=_first(each.lens for each in (exif, sidecar, xmp)) or "",
        rating=_first(each.rating for each in told),
        keywords=_unique(word for each in told for word in each.keywords),
        title=_first(each.title for each in told) or "",
        caption=_first(each.caption for each in told) or "",
        width=size[0],
        height=size[1],
    )


def _first(values: Iterable[Any]) -> Any:
    """Return the first value that says something."""
    return next((value for value in values if value), None)


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    """Keep the first of keywords that differ in case alone."""
    kept: dict[str, str] = {}
    for word in words:
        kept.setdefault(word.casefold(), word)
    return tuple(kept.values())[:MAX_KEYWORDS]


def _attempt(read: Callable[[], _Found]) -> _Found:
    """Read one source; a broken one says nothing."""
    try:
        return read()
    except (*BAD_DATA, FileUnreadable, ParseError, DefusedXmlException):
        return _NOTHING


# EXIF


def _from_exif(exif: Image.Exif) -> _Found:
    """Read the tags of the camera."""
    details = _attempt_ifd(exif, _EXIF_IFD)
    words = _wide(exif.get(0x9C9E))  # XPKeywords, as Windows writes them
    return _Found(
        taken=_first(map(_date, (details.get(0x9003), details.get(0x9004), exif.get(0x0132)))),
        position=_gps(_attempt_ifd(exif, _GPS_IFD)),
        camera=_camera(_text(exif.get(0x010F)), _text(exif.get(0x0110))),
        lens=_text(details.get(0xA434)),
        rating=_stars(exif.get(0x4746)),
        keywords=tuple(word for word in map(str.strip, words.split(";")) if word),
        title=_wide(exif.get(0x9C9B)),
        caption=_first(
            (
                _caption(_text(exif.get(0x010E))),
                _comment(details.get(0x9286)),
                _wide(exif.get(0x9C9C)),
            )
        )
        or "",
    )


def _attempt_ifd(exif: Image.Exif, tag: int) -> Mapping[int, Any]:
    """Read one directory of tags; a broken one is empty."""
    try:
        return exif.get_ifd(tag)
    except BAD_DATA:
        return {}


def _gps(tags: Mapping[int, Any]) -> tuple[float, float] | None:
    """Read a position; 0, 0 is a receiver without a fix."""
    try:
        latitude, longitude = _angle(tags[2], tags[1], "S"), _angle(tags[4], tags[3], "W")
    except BAD_DATA:
        return None
    return _position(latitude, longitude)


def _angle(parts: Any, side: Any, negative: str) -> float:
    """Turn degrees, minutes and seconds into degrees."""
    values = [float(part) for part in parts]
    degrees = sum((value / 60.0**power for power, value in enumerate(values[:3])), start=0.0)
    return -degrees if _text(side).upper().startswith(negative) else degrees


def _position(latitude: float, longitude: float) -> tuple[float, float] | None:
    """Return a position that may be on earth."""
    on_earth = abs(latitude) <= 90 and abs(longitude) <= 180
    return (latitude, longitude) if on_earth and (latitude or longitude) else None


def _camera(make: str, model: str) -> str:
    """Join make and model as people say them: "NIKON CORPORATION", "NIKON D750": "Nikon D750"."""
    words = _MAKERS_NOISE.sub(" ", make.replace(",", " ")).split()
    maker = words[0] if words else ""
    if maker.islower() or (maker.isupper() and len(maker) > 3):  # LG, DJI and HP are written so
        maker = maker.capitalize()
    rest = model.split()
    if rest and rest[0].casefold() in {maker.casefold(), make.casefold()}:
        rest = rest[1:]
    return " ".join([maker, *rest] if maker else rest)


def _caption(text: str) -> str:
    """Drop what cameras write where a caption belongs."""
    return "" if _NO_CAPTION.fullmatch(text) else text


def _comment(value: Any) -> str:
    """Read a UserComment: eight bytes name the character set."""
    if not isinstance(value, bytes):
        return _caption(_text(value))
    code, body = value[:8], value[8:]
    if code.startswith(b"UNICODE"):
        return _caption(_text(body.decode("utf-16", errors="ignore")))
    return _caption(_text(body)) if code.startswith(b"ASCII") else ""


def _wide(value: Any) -> str:
    """Read a text of Windows: UTF-16 in bytes."""
    data = bytes(value) if isinstance(value, bytes | tuple) else b""
    return _text(data.decode("utf-16-le", errors="ignore"))


# Videos


def _from_tags(tags: Mapping[str, str]) -> _Found:
    """Read the tags of phones and cameras: QuickTime's, and Android's."""
    known = {name.casefold(): value for name, value in tags.items()}

    def one(*names: str) -> str:
        return _first(_text(known.get(name)) for name in names) or ""

    taken = _date(one(f"{_APPLE}creationdate", "creation_time", "date"))
    place = _ISO_6709.match(one(f"{_APPLE}location.iso6709", "location", "location-eng"))
    return _Found(
        taken=taken if taken and taken.year > _UNSET_CLOCK else None,
        position=_position(float(place[1]), float(place[2])) if place else None,
        camera=_camera(
            one(f"{_APPLE}make", "com.android.manufacturer", "make"),
            one(f"{_APPLE}model", "com.android.model", "model"),
        ),
        title=one(f"{_APPLE}title", "title"),
        caption=_caption(one(f"{_APPLE}description", "description", "comment")),
    )


# XMP


def _packet(image: Image.Image) -> bytes:
    """Return the XMP packet of a photo, wherever its format keeps it."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return packet.encode() if isinstance(packet, str) else bytes(packet)


def _sidecar(path: Path) -> bytes:
    """Read the file beside a photo."""
    return read_regular(path, MAX_SIDECAR_BYTES)


def _xmp(packet: bytes) -> _Values:
    """Read the properties of a packet by their usual names, each as a list of texts."""
    values: dict[str, list[str]] = {}
    packet = packet.strip(b"\0 \t\r\n")
    if not packet:
        return values
    root: Element = fromstring(packet)
    for block in root.iter(f"{_RDF}RDF"):
        for description in block:
            for name, value in description.items():
                values.setdefault(_short(name), []).append(value)
            for child in description:
                items = [item.text or "" for item in child.iter(f"{_RDF}li")]
                values.setdefault(_short(child.tag), []).extend(items or [child.text or ""])
    return values


def _short(name: str) -> str:
    """Name a property by its usual prefix: "dc:title" for "{http://…/1.1/}title"."""
    address, closing, local = name.partition("}")
    return _PREFIXES.get(address + closing, address + closing) + local


def _from_xmp(values: _Values) -> _Found:
    """Read the properties that editors and viewers write."""

    def one(*names: str) -> str:
        return _first(_text(value) for name in names for value in values.get(name, [])) or ""

    dates = ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate")
    return _Found(
        taken=_date(one(*dates)),
        position=_xmp_position(one("exif:GPSLatitude"), one("exif:GPSLongitude")),
        camera=_camera(one("tiff:Make"), one("tiff:Model")),
        lens=one("aux:Lens", "exifEX:LensModel"),
        rating=_stars(one("xmp:Rating")),
        keywords=tuple(_xmp_keywords(values)),
        title=one("dc:title", "photoshop:Headline"),
        caption=_caption(one("dc:description")),
    )


def _xmp_keywords(values: _Values) -> Iterable[str]:
    """Yield the keywords; of "Places|Italy|Rome" each level is one."""
    yield from filter(None, map(_text, values.get("dc:subject", [])))
    for name, mark in (("lr:hierarchicalSubject", "|"), ("digiKam:TagsList", "/")):
        for path in values.get(name, []):
            yield from filter(None, map(_text, path.split(mark)))


def _xmp_position(latitude: str, longitude: str) -> tuple[float, float] | None:
    """Read "41,53.5N" and "12,30,0E"."""
    found = [_DEGREES.fullmatch(text.replace(" ", "")) for text in (latitude, longitude)]
    north, east = (
        _angle([part or 0 for part in each.groups()[:3]], each[4], negative) if each else None
        for each, negative in zip(found, "SW", strict=True)
    )
    return None if north is None or east is None else _position(north, east)


# IPTC


def _from_iptc(image: Image.Image) -> _Found:
    """Read what news agencies and older editors wrote."""
    if not isinstance(image, ImageFile.ImageFile):
        return _NOTHING
    fields = IptcImagePlugin.getiptcinfo(image) or {}

    def all_of(number: int) -> list[str]:
        value = fields.get((2, number), [])
        return [_text(each) for each in (value if isinstance(value, list) else [value])]

    def one(number: int) -> str:
        return _first(all_of(number)) or ""

    return _Found(
        taken=_date(one(55) + one(60)) or _date(one(55)),
        keywords=tuple(filter(None, all_of(25))),
        title=one(5) or one(105),
        caption=_caption(one(120)),
    )


# Values


def _text(value: Any) -> str:
    """Return a value as clean text. EXIF's texts come as Latin-1, and often are UTF-8."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        return ""
    with suppress(UnicodeError):
        value = value.encode("latin-1").decode("utf-8")
    return _CONTROL.sub(" ", value).strip()[:MAX_TEXT]


def _date(value: Any) -> datetime | None:
    """Read a date as written, whatever its time zone; "0000:00:00" is none."""
    found = _DATE.match(_text(value))
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        return datetime(year, month, day, hour, minute, min(second, 59))
    except ValueError:
        return None


def _stars(value: Any) -> int | None:
    """Read a rating of 1 to 5 stars, or -1 for rejected; 0 is none."""
    try:
        stars = round(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return stars if stars == -1 or 1 <= stars <= 5 else None

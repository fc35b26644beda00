"""Find and read XMP: a packet in the file, or the `.xmp` file beside it.

XMP nests: a face is a structure in a list in a structure. So a packet is read into the values of
JSON (texts, lists and structures), under the usual names of its properties.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from io import BytesIO
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from PIL import Image

from indexer.media.containers import SIGNATURE, boxes, xmp_packet
from indexer.media.image import BAD_DATA
from indexer.metadata.dates import read_date
from indexer.metadata.exif import XMP_TAG
from indexer.metadata.generation_prompts import described
from indexer.metadata.png_text import png_texts, xmp_of
from indexer.metadata.source import (
    Position,
    SourceMetadata,
    camera_name,
    caption,
    degrees,
    first,
    on_earth,
    stars,
    text,
    unique,
)

MAX_XMP_BYTES = 16_000_000
"""A packet or sidecar with thousands of brush strokes has one megabyte."""

BAD_XMP = (*BAD_DATA, ParseError, DefusedXmlException)
"""What `from_xmp` raises for what is no XMP."""

_Value: TypeAlias = "str | list[_Value] | dict[str, _Value]"
_Values: TypeAlias = dict[str, list[_Value]]

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_LISTS = tuple(f"{_RDF}{kind}" for kind in ("Bag", "Seq", "Alt"))
_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpDM": "http://ns.adobe.com/xmp/1.0/DynamicMedia/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "core": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "ext": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "mediapro": "http://ns.iview-multimedia.com/mediapro/1.0/",
    "microsoft": "http://ns.microsoft.com/photo/1.0/",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "mwg-kw": "http://www.metadataworkinggroup.com/schemas/keywords/",
    "acdsee": "http://ns.acdsee.com/iptc/1.0/",
    "acdsee-rs": "http://ns.acdsee.com/regions/",
}
_PREFIXES = {f"{{{address}}}": f"{prefix}:" for prefix, address in _NAMESPACES.items()}

_FACES = ("mwg-rs:Regions", "MP:RegionInfo", "acdsee-rs:Regions", "ext:ImageRegion")
_NAMES = ("mwg-rs:Name", "MPReg:PersonDisplayName", "acdsee-rs:Name", "ext:Name")
_KINDS = ("mwg-rs:Type", "acdsee-rs:Type")
_NO_FACES = frozenset({"focus", "barcode"})
_PEOPLE = ("ext:PersonInImage", "ext:PersonInImageWDetails", "mediapro:People")
_WORDS = (
    *("dc:subject", "acdsee:keywords", "photoshop:SupplementalCategories"),
    *("ext:Event", "mediapro:Event", "ext:OrganisationInImageName"),
)
_PATHS = {
    "lr:hierarchicalSubject": "|",
    "digiKam:TagsList": "/",
    "microsoft:LastKeywordXMP": "/",
    "mediapro:CatalogSets": "|",
}
"""Keywords with those above them: "Places|Italy|Rome". Each level is one."""

_PLACE = ("core:Location", "photoshop:City", "photoshop:State", "photoshop:Country")
_LOCATIONS = ("ext:LocationCreated", "ext:LocationShown")
_LOCATION = (
    *("ext:LocationName", "ext:Sublocation", "ext:City", "ext:ProvinceState", "ext:CountryName"),
)
_CAPTIONS = (
    *("dc:description", "acdsee:caption", "acdsee:notes", "exif:UserComment"),
    *("tiff:ImageDescription", "core:AltTextAccessibility", "core:ExtDescrAccessibility"),
    "xmpDM:logComment",
)
_TAKEN = ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmpDM:shotDate", "acdsee:datetime")
_DIGITIZED = ("exif:DateTimeDigitized", "xmp:CreateDate", "dc:date")
_WIDE = (b"\xff\xfe", b"\xfe\xff")  # marks of UTF-16
_DEGREES = re.compile(r"(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?([NSEW])")


_GIF_XMP, _GIF_END = b"XMP DataXMP", b"\x01\xff\xfe"

_BOXED = (b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  ")


def from_xmp(packet: bytes) -> SourceMetadata:
    """Read the properties that editors and viewers write.

    Raises:
        BAD_XMP: it is no XMP.
    """
    values = _read(packet)

    def one(*names: str) -> str:
        return first(text(each) for name in names for each in _texts(values.get(name))) or ""

    places = [*filter(None, _places(values))]
    return SourceMetadata(
        taken=first(read_date(one(name)) for name in _TAKEN),
        digitized=first(read_date(one(name)) for name in _DIGITIZED),
        position=_position(one("exif:GPSLatitude"), one("exif:GPSLongitude")),
        place=places[0] if places else (),
        camera=camera_name(one("tiff:Make"), one("tiff:Model")),
        lens=one("aux:Lens", "exifEX:LensModel"),
        rating=stars(one("xmp:Rating")),
        keywords=unique((*_keywords(values), *(word for each in places[1:] for word in each))),
        title=one("dc:title", "photoshop:Headline"),
        caption=caption(described(one(*_CAPTIONS))),
    )


# From XML to values


def _read(packet: bytes) -> _Values:
    """Read the properties of a packet, each with all its values."""
    values: _Values = {}
    if not packet.startswith(_WIDE):
        packet = packet.strip(b"\0 \t\r\n")
        packet = packet[: packet.rfind(b">") + 1]  # some programs leave bytes behind it
    if not packet:
        return values
    root: Element = fromstring(packet)
    for block in root.iter(f"{_RDF}RDF"):
        for description in block:
            for name, value in _structure(description).items():
                values.setdefault(name, []).append(value)
    return values


def _structure(element: Element) -> dict[str, _Value]:
    """Read an element whose attributes and children are properties."""
    found: dict[str, _Value] = {
        _short(name): value for name, value in element.items() if not name.startswith((_RDF, _XML))
    }
    for child in element:
        name, value = _short(child.tag), _value(child)
        if name in found:  # no RDF of XMP, but written
            before = found[name]
            found[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            found[name] = value
    return found


def _value(element: Element) -> _Value:
    """Read a property or an item of a list: a text, a list or a structure."""
    only = element[0] if len(element) == 1 else None
    if only is not None and only.tag in _LISTS:
        return [_value(item) for item in only]
    if only is not None and only.tag == f"{_RDF}Description":
        return _structure(only)
    structure = _structure(element)
    if f"{_RDF}value" in structure:
        return structure[f"{_RDF}value"]
    return structure or element.text or element.get(f"{_RDF}resource") or ""


def _short(name: str) -> str:
    """Name a property by its usual prefix: "dc:title" for "{http://…/1.1/}title"."""
    address, closing, local = name.partition("}")
    return _PREFIXES.get(address + closing, address + closing) + local


# From values to what they say


def _texts(value: _Value | None) -> Iterator[str]:
    """Yield the texts of a value that is a text, or a list of such."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _structures(value: _Value | None) -> Iterator[Mapping[str, _Value]]:
    """Yield the structures of a value, the outer ones first, at any depth."""
    if isinstance(value, dict):
        yield value
    inner: Iterable[_Value] = value.values() if isinstance(value, dict) else value or ()
    for each in inner if not isinstance(value, str) else ():
        yield from _structures(each)


def _keywords(values: _Values) -> Iterator[str]:
    """Yield keywords and the names of faces and people."""
    for name in (*_WORDS, *_PEOPLE):
        yield from map(text, _texts(values.get(name)))
    for name, mark in _PATHS.items():
        for path in _texts(values.get(name)):
            yield from map(text, path.split(mark))
    yield from _faces(values)
    for each in _structures(values.get("mwg-kw:Keywords")):
        yield from map(text, _texts(each.get("mwg-kw:Keyword")))
    yield from _categories(first(_texts(values.get("acdsee:categories"))) or "")


def _faces(values: _Values) -> Iterator[str]:
    """Yield the names of the regions of a picture that show someone."""
    for name in _FACES:
        for region in _structures(values.get(name)):
            kinds = {text(each).lower() for kind in _KINDS for each in _texts(region.get(kind))}
            if not kinds & _NO_FACES:
                for known in _NAMES:
                    yield from map(text, _texts(region.get(known)))
    for person in _structures(values.get("ext:PersonInImageWDetails")):
        yield from map(text, _texts(person.get("ext:PersonName")))


def _categories(written: str) -> Iterator[str]:
    """Yield ACDSee's categories, which are XML within a text."""
    if written.startswith("<"):
        root: Element = fromstring(written)
        for category in root.iter("Category"):
            yield text(category.text)


def _places(values: _Values) -> Iterator[tuple[str, ...]]:
    """Yield the names of each place: where the picture was made, then those that it shows."""
    yield unique(_all(values, _PLACE))
    for name in _LOCATIONS:
        for each in _structures(values.get(name)):
            yield unique(_all(each, _LOCATION))


def _all(structure: Mapping[str, Any], names: Iterable[str]) -> Iterator[str]:
    """Yield the texts of some properties."""
    for name in names:
        yield from map(text, _texts(structure.get(name)))


def _position(latitude: str, longitude: str) -> Position | None:
    """Read "41,53.5N" and "12,30,0E"."""
    found = [_DEGREES.fullmatch(each.replace(" ", "")) for each in (latitude, longitude)]
    north, east = (
        degrees([float(part or 0) for part in each.groups()[:3]], each[4], negative)
        if each
        else None
        for each, negative in zip(found, "SW", strict=True)
    )
    return None if north is None or east is None else on_earth(north, east)


def packet_of(image: Image.Image, data: bytes) -> bytes:
    """Return the XMP packet of a picture, wherever its format keeps it; empty if there is none."""
    told = image.info.get("xmp") or image.getexif().get(XMP_TAG) or b""
    if not told and data.startswith(SIGNATURE):
        told = xmp_of(png_texts(data))
    elif not told and data.startswith(b"GIF8"):
        told = data.partition(_GIF_XMP)[2].partition(_GIF_END)[0]
    elif not told and data.startswith(_BOXED):
        told = xmp_packet(data) or _unpacked(data)
    return told.encode(errors="ignore") if isinstance(told, str) else bytes(told)


def _unpacked(data: bytes) -> bytes:
    """Unpack the XMP of a JPEG XL whose boxes are packed, where the package for that is there."""
    packed = (data[start:end] for name, start, end in boxes(BytesIO(data)) if name == b"brob")
    packet = next((each[4:] for each in packed if each.startswith(b"xml ")), b"")
    try:
        brotli: Any = import_module("brotli")
    except ImportError:
        return b""
    try:
        return bytes(brotli.decompress(packet)) if packet else b""
    except brotli.error:
        return b""

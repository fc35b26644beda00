"""Read EXIF: the tags of cameras, and those that Windows adds.

A camera RAW keeps it wherever its maker likes. Most RAW files are TIFF by another name. Fujifilm's
file begins with a header that points to a JPEG with the EXIF. Canon's CR3 is a video container with
one TIFF for each directory.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from PIL import Image

from indexer.media.image import BAD_DATA, opened
from indexer.metadata.dates import read_date
from indexer.metadata.generation_prompts import described
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
)

XMP_TAG = 0x02BC
"""The XMP packet in a TIFF and in most camera RAW."""

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_DESCRIPTION, _MAKE, _MODEL, _CHANGED, _RATING = 0x010E, 0x010F, 0x0110, 0x0132, 0x4746
_TAKEN, _DIGITIZED, _COMMENT, _LENS = 0x9003, 0x9004, 0x9286, 0xA434
_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS, _XP_SUBJECT = 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F
_LATITUDE, _LONGITUDE = (2, 1), (4, 3)  # the tags of the angle and of its side

_CODES = {
    b"UNICODE": "utf-16",
    b"ASCII": "",
    b"JIS": "iso2022_jp",
    b"": "",  # eight zeros: the character set is not defined
}
"""The character sets that the first eight bytes of a comment may name."""


_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825

_TIFF = {b"II": b"II*\0", b"MM": b"MM\0*"}  # by the order of bytes; Olympus and Panasonic differ

_FUJIFILM = b"FUJIFILMCCD-RAW"

_JPEG_OF_RAF = struct.Struct(">II")  # where it begins and how long it is, at byte 84

_CR3_HEAD = 1 << 20  # bytes in which its directories lie


def from_exif(exif: Image.Exif) -> SourceMetadata:
    """Read the tags of the camera."""
    details = _directory(exif, _EXIF_IFD)
    make, model = text(exif.get(_MAKE)), text(exif.get(_MODEL))
    captions = (
        caption(text(exif.get(_DESCRIPTION))),
        _comment(details.get(_COMMENT), exif.endian or "<"),
        _wide(exif.get(_XP_COMMENT)),
        _wide(exif.get(_XP_SUBJECT)),
    )
    names = {make.casefold(), model.casefold(), f"{make} {model}".casefold()}
    return SourceMetadata(
        taken=read_date(text(details.get(_TAKEN))),
        digitized=first(
            read_date(text(each)) for each in (details.get(_DIGITIZED), exif.get(_CHANGED))
        ),
        position=_position(_directory(exif, _GPS_IFD)),
        camera=camera_name(make, model),
        lens=text(details.get(_LENS)),
        rating=stars(exif.get(_RATING)),
        keywords=tuple(filter(None, map(str.strip, _wide(exif.get(_XP_KEYWORDS)).split(";")))),
        title=_wide(exif.get(_XP_TITLE)),
        caption=first(each for each in captions if each.casefold() not in names) or "",
    )


def _directory(exif: Image.Exif, tag: int) -> Mapping[int, Any]:
    """Read one directory of tags; a broken one is empty."""
    try:
        return exif.get_ifd(tag)
    except BAD_DATA:
        return {}


def _position(tags: Mapping[int, Any]) -> Position | None:
    """Read a position."""
    try:
        latitude, longitude = (
            degrees(map(float, tags[angle][:3]), text(tags[side]), negative)
            for (angle, side), negative in ((_LATITUDE, "S"), (_LONGITUDE, "W"))
        )
    except BAD_DATA:
        return None
    return on_earth(latitude, longitude)


def _comment(value: Any, endian: str) -> str:
    """Read a UserComment: eight bytes name the character set, or are part of the text."""
    if not isinstance(value, bytes):
        return caption(described(text(value)))
    code, body = value[:8].rstrip(b"\0 "), value[8:]
    if code not in _CODES:
        code, body = b"", value
    if _CODES[code] == "utf-16":
        told = text(_utf16(body, endian))
    else:
        told = text(_decoded(body, _CODES[code]))
    legible = all(each.isprintable() or each.isspace() for each in told)
    return caption(described(told)) if legible else ""


def _decoded(data: bytes, encoding: str) -> str | bytes:
    """Decode a text; one of an unknown or a wrong character set stays as it is."""
    for each in (encoding, "shift_jis", "euc_jp") if encoding else ():
        try:
            return data.decode(each)
        except UnicodeDecodeError:
            continue
    return data


def _wide(value: Any) -> str:
    """Read a text of Windows: UTF-16, its low byte first whatever the order of the EXIF."""
    return text(_utf16(bytes(value), "<")) if isinstance(value, bytes | tuple) else ""


def _utf16(data: bytes, endian: str) -> str:
    """Decode UTF-16 in the byte order of its mark, else in that of its EXIF.

    Some programs write the other order than they should. Then most letters have a low byte of
    zero, which no script has: "h" becomes U+6800.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="ignore")
    told, other = (
        data.decode(f"utf-16-{order}", errors="ignore").rstrip("\0")
        for order in (("le", "be") if endian == "<" else ("be", "le"))
    )
    swapped = sum(letter != "\0" and ord(letter) & 0xFF == 0 for letter in told)
    return other if 2 * swapped > len(told) else told


def raw_exif(data: bytes) -> Image.Exif:
    """Return the tags of a RAW.

    Raises:
        BAD_DATA: of `indexer.media.image`; it has none that we know of.
    """
    if data.startswith(_FUJIFILM):
        start, length = _JPEG_OF_RAF.unpack_from(data, 84)
        with opened(data[start : start + length]) as jpeg:
            return jpeg.getexif()
    if data[4:8] == b"ftyp":
        return _cr3(data[:_CR3_HEAD])
    return _tiff(data)


def _cr3(head: bytes) -> Image.Exif:
    """Read the boxes CMT1, CMT2 and CMT4: the camera's tags, those of EXIF, and the position."""
    exif = _tiff(_box(head, b"CMT1"))
    for name, tag in ((b"CMT2", _EXIF_IFD), (b"CMT4", _GPS_IFD)):
        if name in head:
            exif.get_ifd(tag).update(_tiff(_box(head, name)))
    return exif


def _box(head: bytes, name: bytes) -> bytes:
    """Return what lies in a box; four bytes before its name say how long it is with both."""
    at = head.index(name)
    (length,) = struct.unpack_from(">I", head, at - 4)
    return head[at + 4 : at - 4 + length]


def _tiff(data: bytes) -> Image.Exif:
    """Read a TIFF, whatever its maker writes in place of its magic number."""
    exif = Image.Exif()
    magic = _TIFF.get(data[:2], b"")
    exif.load(data if data.startswith(magic) else magic + data[4:])
    return exif

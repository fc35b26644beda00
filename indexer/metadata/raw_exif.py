"""Find the EXIF of a camera RAW, wherever its maker stores it.

Most RAW files are TIFF by another name. Fujifilm's file begins with a header that points to a JPEG
with the EXIF. Canon's CR3 is a video container with one TIFF for each directory.
"""

from __future__ import annotations

import struct

from PIL import Image

from indexer.media.image import opened

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_TIFF = {b"II": b"II*\0", b"MM": b"MM\0*"}  # by the order of bytes; Olympus and Panasonic differ
_FUJIFILM = b"FUJIFILMCCD-RAW"
_JPEG_OF_RAF = struct.Struct(">II")  # where it begins and how long it is, at byte 84
_CR3_HEAD = 1 << 20  # bytes in which its directories lie


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

"""Read intact pictures from files that are damaged elsewhere.

A wrong checksum in a text, a colour profile of megabytes, a missing end marker: viewers show such
a picture, but Pillow refuses it. Here the file is written again in memory without the parts that no
pixel needs. Nothing is guessed: a picture with missing rows is still refused.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import shake_128
from io import BytesIO
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from indexer.media.containers import SIGNATURE, chunks

Admit: TypeAlias = Callable[[Image.Image], None]
"""Told of a picture that is about to be decoded; it refuses one that is too large."""

_BESIDE = "damaged outside its picture"

_PNG_NEEDED = frozenset({b"IHDR", b"PLTE", b"IDAT"})
_PNG_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
_PNG_KEPT = _PNG_NEEDED | _PNG_ANIMATION | {b"tRNS", b"eXIf"}
_EXIF_BYTES = 1_000_000  # more is no EXIF of a camera

_EOI = b"\xff\xd9"
_TAIL = 64  # bytes at the end of a JPEG among which that marker lies
_RESTARTS = b"\xff\xdd\0\4"
_PART = 1024  # bytes
_BROKEN = (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error)
_JPEG_NEEDED = frozenset({*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDD, 0xEE})
"""Segments of a JPEG by their marker: frames, tables, scans, and Adobe's, which tells colours."""
_HEAD = struct.Struct(">BBH")  # of a segment: a byte of 255, the marker, the length without these
_BARE = frozenset({0x00, 0xD8, 0xD9})  # no marker, start and end: none of them has a length
_TABLES = b"\xff\xdb"
_EXIF = 0xE1
_SCAN = 0xDA
_LOST = 0.005  # of the pixels: the end of the last row, which no eye misses

_WEBP_NEEDED = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"})
_WEBP_ALPHA_AND_ANIMATION = 0x12


@dataclass(frozen=True, kw_only=True)
class RepairedFile:
    """A file written again, and what was wrong with it, fit to be told to a person."""

    data: bytes
    remark: str


def mended(data: bytes, admit: Admit) -> Iterator[RepairedFile]:
    """Yield a damaged file without what is damaged in it, less of it each time.

    What is yielded need not be readable, but if it is, all of its picture is there. A JPEG may
    have to be decoded to tell; `admit` is asked before.
    """
    if data.startswith(SIGNATURE):
        yield from _mended_png(data)
    elif data.startswith(b"\xff\xd8"):
        yield from _mended_jpeg(data, admit)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        yield from _mended_webp(data)


def _mended_png(data: bytes) -> Iterator[RepairedFile]:
    """Keep the chunks that pixels need, with right checksums."""
    found = [*_resumed(data)]
    if not found:
        return
    spoilt = {name for name, _, right in found if not right}
    is_cut = found[-1][0] == b"IDAT" and not found[-1][2]
    pixels = b"".join(body for name, body, _ in found if name == b"IDAT")
    if spoilt & {b"IHDR", b"PLTE"} or (b"IDAT" in spoilt and not _unpacks(pixels, is_cut)):
        return
    if spoilt & _PNG_ANIMATION:
        spoilt |= _PNG_ANIMATION
    for kept in (_PNG_KEPT - spoilt | _PNG_NEEDED, _PNG_NEEDED):
        left = [(name, body) for name, body, _ in found if name in kept and _fits(name, body)]
        gone = {name for name, _, _ in found} - {name for name, _ in left} - {b"IEND"}
        names = ", ".join(sorted(name.decode("latin-1") for name in gone))
        told = f"read without {names}" if gone else "its checksums or its end are wrong"
        written = b"".join(_chunk(name, body) for name, body in [*left, (b"IEND", b"")])
        yield RepairedFile(data=SIGNATURE + written, remark=f"{_BESIDE}; {told}")


def _resumed(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield the chunks of a PNG; where a wrong length leads astray, go on at the pixels."""
    began = False
    for name, body, right in chunks(data):
        if not name.isalpha():
            break
        began = began or name == b"IDAT"
        yield name, body, right
    at = data.find(b"IDAT") - 4
    if at > 0 and not began:
        yield from chunks(SIGNATURE + data[at:])


def _fits(name: bytes, body: bytes) -> bool:
    """Return whether a chunk is of a size that Pillow reads."""
    return name != b"eXIf" or len(body) <= _EXIF_BYTES


def _unpacks(pixels: bytes, is_cut: bool) -> bool:
    """Return whether packed pixels are whole: they carry a checksum of their own, at their end."""
    unpack, ahead, going = zlib.decompressobj(), pixels, True
    try:
        while going and not unpack.eof:
            going = bool(unpack.decompress(ahead, 1 << 20))
            ahead = unpack.unconsumed_tail
    except zlib.error:
        return False
    return unpack.eof or is_cut


def _chunk(name: bytes, body: bytes) -> bytes:
    """Write a chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _mended_jpeg(data: bytes, admit: Admit) -> Iterator[RepairedFile]:
    """End a picture that lacks its end marker; drop segments that no pixel needs."""
    ended = _ended(data, admit)
    if ended != data and ended:
        yield RepairedFile(data=ended, remark="its end marker is missing; the picture is there")
    for kept in (_JPEG_NEEDED | {_EXIF}, _JPEG_NEEDED):
        bare = _ended(_segments(data, kept), admit)
        if bare:
            yield RepairedFile(data=bare, remark=f"{_BESIDE}; read without its other data")


def _ended(data: bytes, admit: Admit) -> bytes:
    """Return a JPEG with its end marker; empty if pixels are missing before it."""
    if _EOI in data[-_TAIL:]:
        return data
    # Half a marker may be left of it, and recovered files are filled up with zeros.
    begun = (data.removesuffix(_EOI[:1]), data.rstrip(b"\0\xff"))
    return next((each + _EOI for each in begun if each and _is_whole(each, admit)), b"")


def _segments(data: bytes, kept: frozenset[int]) -> bytes:
    """Write a JPEG again with some of its segments; empty if it has no scan."""
    written, at, before = [data[:2]], 2, 0
    while at >= 0:
        mark, marker, length = _HEAD.unpack(data[at : at + 4].ljust(4, b"\0"))
        if mark != 0xFF or marker in _BARE or length < 2:
            # The length of the segment before is wrong: go on with the tables that follow it.
            at, before = data.find(_TABLES, before + 2), at
            written = written[:1]
            continue
        if marker == _SCAN:
            return b"".join([*written, data[at:]])
        if marker in kept:
            written.append(data[at : at + 2 + length])
        before = before if marker in _JPEG_NEEDED else at
        at += 1 if marker == 0xFF else 2 + length
    return b""


def _is_whole(data: bytes, admit: Admit) -> bool:
    """Return whether no pixels are missing at the end of a JPEG that lacks its end marker.

    What follows the last row changes nothing; what follows a cut is read as pixels.
    """
    noise = shake_128(b"rows").digest(max(1 << 16, len(data) // 50)).replace(b"\xff", b"\x55")
    if _RESTARTS in data:  # after so many blocks a marker follows, numbered from 0 to 7
        parts = (noise[at : at + _PART] for at in range(0, len(noise), _PART))
        noise = b"".join(part + bytes([0xFF, 0xD0 + at % 8]) for at, part in enumerate(parts))
    try:
        ended, going_on = (_pixels(data + rest + _EOI, admit) for rest in (b"", noise))
    except _BROKEN:
        return False
    if ended.shape != going_on.shape:
        return False
    differ = (ended != going_on).reshape(*ended.shape[:2], -1).any(axis=2)
    return float(differ.mean()) <= _LOST


def _pixels(data: bytes, admit: Admit) -> NDArray[np.uint8]:
    """Decode a JPEG, an eighth of its size where all detail is in one scan."""
    with JpegImagePlugin.JpegImageFile(BytesIO(data)) as image:
        admit(image)
        if not image.info.get("progressive"):
            image.draft(None, (1, 1))
        return np.asarray(image)


def _mended_webp(data: bytes) -> Iterator[RepairedFile]:
    """Keep the chunks that pixels need."""
    left, at = [], 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + length]
        if name in _WEBP_NEEDED and len(body) == length:
            if name == b"VP8X":  # its first byte says what else there is
                body = bytes([body[0] & _WEBP_ALPHA_AND_ANIMATION]) + body[1:]
            left.append(struct.pack("<4sI", name, length) + body + b"\0" * (length % 2))
        at += 8 + length + length % 2
    written = b"WEBP" + b"".join(left)
    remark = f"{_BESIDE}; read without EXIF, XMP and colour profile"
    yield RepairedFile(data=b"RIFF" + struct.pack("<I", len(written)) + written, remark=remark)

"""Read the structure of containers: boxes, and the chunks of PNG.

Boxes are the structure of MP4, MOV, HEIC, AVIF, JPEG XL, JPEG 2000 and CR3 files.

A box consists of its total length (4 bytes), its name (4 bytes) and its content, which may be
boxes again. A length of 1 means that 8 bytes with the length follow the name; 0 means that the box
ends with the file. No length is trusted: it never leads beyond the data, nor back. A PNG is
read even if some of its chunks are damaged.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import IO

XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""The box `uuid` whose content begins so is an XMP packet."""

_MOST_BOXES = 10_000  # side by side; a film in fragments has some


SIGNATURE = b"\x89PNG\r\n\x1a\n"


def boxes(file: IO[bytes], end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of the content of each box, from here on; `file` may be sought.

    Args:
        file: a binary file, at the start of a box.
        end: of the last one; None for that of the file.
    """
    at = file.tell()
    end = file.seek(0, 2) if end is None else end
    for _ in range(_MOST_BOXES):
        if at + 8 > end:
            return
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        start = at + 8
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))
            start += 8
        after = min(at + length, end) if length else end
        if after < start:
            return
        yield name, start, after
        at = after


def content(data: bytes, *path: bytes) -> bytes:
    """Return the content of the first box that lies at a path of names; empty if there is none."""
    for name in path:
        found = (data[start:end] for each, start, end in boxes(BytesIO(data)) if each == name)
        data = next(found, b"")
    return data


def xmp_packet(data: bytes) -> bytes:
    """Return the XMP packet of JPEG XL, JPEG 2000 or CR3; empty if there is none."""
    for name, start, end in boxes(BytesIO(data)):
        is_uuid = name == b"uuid" and data[start : start + 16] == XMP_UUID
        if is_uuid or (name == b"xml " and b":RDF" in data[start:end]):
            return data[start + 16 * is_uuid : end]
    return b""


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield name, content and whether the checksum is right of each chunk of a PNG; stop at a cut.

    The content of the last one may be cut.
    """
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        check = data[at + 8 + length : at + 12 + length]
        yield name, body, check == struct.pack(">I", zlib.crc32(name + body))
        at += 12 + length

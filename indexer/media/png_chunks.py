"""Read the chunks of a PNG, even if some of them are damaged."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"


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

"""The size that a WebP file states, so that what a decoder process sends can be checked unread.

Source: RFC 9649, WebP Image Format, sections 2.3 to 2.7.
"""

from __future__ import annotations

_HEAD = 30  # bytes that hold the size, whatever the form
_OVERHEAD = 100_000  # bytes: the headers, and the largest colour profile that is kept

_LOSSY, _EXTENDED = b"VP8 ", b"VP8X"


def is_thumbnail(data: bytes, pixels: int) -> bool:
    """Return whether bytes are one WebP file of the length it states, within so many pixels."""
    size = webp_size(data)
    return size is not None and 0 < min(size) <= max(size) <= pixels


def most_bytes(pixels: int) -> int:
    """Return how long a thumbnail of so many pixels a side may be."""
    return 3 * pixels**2 + _OVERHEAD


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Read width and height of a lossy WebP file; None for anything else."""
    stated = int.from_bytes(data[4:8], "little") + 8
    if len(data) < _HEAD or data[:4] != b"RIFF" or data[8:12] != b"WEBP" or stated != len(data):
        return None
    if data[12:16] == _LOSSY:
        width, height = (int.from_bytes(data[at : at + 2], "little") for at in (26, 28))
        return width & 0x3FFF, height & 0x3FFF
    if data[12:16] == _EXTENDED:
        return _stored(data, 24), _stored(data, 27)
    return None


def _stored(data: bytes, at: int) -> int:
    """Read a side of the canvas, which is stored less one."""
    return int.from_bytes(data[at : at + 3], "little") + 1

"""Camera RAW files of our own making: small DNGs, which LibRaw takes for those of a camera."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from io import BytesIO
from typing import TypeAlias

import numpy as np
from PIL import Image

Tags: TypeAlias = Mapping[int, bytes | str | int | tuple[int, ...] | tuple[tuple[int, int], ...]]
"""A directory of TIFF: what stands under each tag. Pairs are signed rationals."""

SUB_IFDS, EXIF_IFD, GPS_IFD = 0x014A, 0x8769, 0x8825
_IDENTITY = tuple((int(row == column), 1) for row in range(3) for column in range(3))
_BYTES = {0xC612, 0x828E, 0x02BC}  # DNGVersion, CFAPattern, XMP


def dng(
    sensor: Image.Image,
    *,
    preview: Image.Image | None = None,
    orientation: int = 1,
    tags: Tags | None = None,
    exif: Tags | None = None,
    gps: Tags | None = None,
) -> bytes:
    """Write a DNG: what the sensor saw as raw data, and a preview as JPEG if there is one.

    Args:
        sensor: sides must be even.
        preview: as it is stored, not turned.
        orientation: of EXIF, as the camera was held.
        tags: more of the first directory.
        exif: the directory of EXIF.
        gps: the directory of the position.
    """
    raw = _mosaic(sensor)
    shared: Tags = {0x0112: orientation, 0x010F: "Fujifilm", 0x0110: "X100V", **(tags or {})}
    main: Tags = {
        0x00FE: 0, 0x0100: sensor.width, 0x0101: sensor.height, 0x0102: 16, 0x0103: 1,
        0x0106: 32803, 0x0115: 1, 0x0116: sensor.height, 0x828D: (2, 2),
        0x828E: bytes((0, 1, 1, 2)), 0xC61D: 65535,
    }  # fmt: skip
    colours: Tags = {
        0xC612: bytes((1, 4, 0, 0)), 0xC614: "Fujifilm X100V", 0xC621: _IDENTITY,
        0xC628: ((1, 1), (1, 1), (1, 1)), 0xC65A: 21,
    }  # fmt: skip
    if preview is None:
        return _tiff({**shared, **colours, **main}, raw, exif=exif, gps=gps)
    jpeg = BytesIO()
    preview.save(jpeg, "JPEG", quality=95)
    first: Tags = {
        0x00FE: 1, 0x0100: preview.width, 0x0101: preview.height, 0x0102: (8, 8, 8), 0x0103: 7,
        0x0106: 6, 0x0115: 3, 0x0116: preview.height,
    }  # fmt: skip
    below = (main, raw)
    return _tiff({**shared, **colours, **first}, jpeg.getvalue(), exif=exif, gps=gps, sub=below)


def _mosaic(image: Image.Image) -> bytes:
    """See a picture through red, green, green and blue, as linear light of 16 bits."""
    linear = (np.asarray(image.convert("RGB"), dtype=np.float64) / 255) ** 2.2 * 65535
    seen = linear[:, :, 1].copy()
    seen[::2, ::2], seen[1::2, 1::2] = linear[::2, ::2, 0], linear[1::2, 1::2, 2]
    return np.rint(seen).astype("<u2").tobytes()


def _tiff(
    tags: Tags,
    strip: bytes,
    *,
    exif: Tags | None,
    gps: Tags | None,
    sub: tuple[Tags, bytes] | None = None,
) -> bytes:
    """Lay out a TIFF of one picture, and a second one in a directory below."""
    data = bytearray(struct.pack("<2sHI", b"II", 42, 0))
    whole: dict[int, object] = dict(tags)
    if sub is not None:
        whole[SUB_IFDS] = _picture(data, *sub)
    for tag, more in ((EXIF_IFD, exif), (GPS_IFD, gps)):
        if more:
            whole[tag] = _directory(data, more)
    first = _picture(data, whole, strip)
    data[4:8] = struct.pack("<I", first)
    return bytes(data)


def _picture(data: bytearray, tags: Mapping[int, object], strip: bytes) -> int:
    """Append a strip of pixels and the directory that names it; return where that lies."""
    at = len(data)
    data += strip + b"\0" * (len(strip) % 2)
    return _directory(data, {**tags, 0x0111: at, 0x0117: len(strip)})


def _directory(data: bytearray, tags: Mapping[int, object]) -> int:
    """Append values and a directory of them; return where it lies."""
    entries = []
    for tag, value in sorted(tags.items()):
        kind, count, body = _encoded(tag, value)
        if len(body) > 4:
            at = len(data)
            data += body + b"\0" * (len(body) % 2)
            body = struct.pack("<I", at)
        entries.append(struct.pack("<HHI4s", tag, kind, count, body))
    start = len(data)
    data += struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return start


def _encoded(tag: int, value: object) -> tuple[int, int, bytes]:
    """Return the type, the count and the bytes of a value."""
    if isinstance(value, str):
        return 2, len(value) + 1, value.encode() + b"\0"
    if isinstance(value, bytes):
        return 1 if tag in _BYTES else 7, len(value), value
    values = value if isinstance(value, tuple) else (value,)
    if isinstance(values[0], tuple):
        kind = 10 if tag == 0xC621 else 5
        numbers = [number for pair in values for number in pair]
        return (
            kind,
            len(values),
            struct.pack(f"<{len(numbers)}{'i' if kind == 10 else 'I'}", *numbers),
        )
    kind, code = (3, "H") if max(values) < 65536 and tag not in (0x0111, 0x0117) else (4, "I")
    return kind, len(values), struct.pack(f"<{len(values)}{code}", *values)

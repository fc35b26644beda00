"""Find the XMP packet of a picture."""

from __future__ import annotations

from importlib import import_module
from io import BytesIO
from typing import Any

from PIL import Image

from indexer.media.iso_boxes import boxes, xmp_packet
from indexer.media.png_chunks import SIGNATURE
from indexer.metadata.exif import XMP_TAG
from indexer.metadata.png_text import png_texts, xmp_of

_GIF_XMP, _GIF_END = b"XMP DataXMP", b"\x01\xff\xfe"
_BOXED = (b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  ")


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

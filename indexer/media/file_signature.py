"""The type of a file by its first bytes, for files with an unknown suffix or none.

Only supported formats are recognised; see `indexer.core.file_types`.
"""

from __future__ import annotations

import os
import stat

from indexer.core.file_types import OTHER_SUFFIXES, MediaType, form_of, suffix_of
from indexer.core.types import Kind

HEAD = 404
"""Bytes that tell: three packets of MPEG-TS, of 192 bytes at most, begin within so many."""

_PICTURES = (
    b"\xff\xd8\xff",  # JPEG, MPO
    b"\x89PNG\r\n\x1a\n",
    *(b"GIF87a", b"GIF89a"),
    *(b"II*\0", b"MM\0*"),  # TIFF
    *(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),  # JPEG 2000: a file, a bare stream
    *(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),  # JPEG XL
)
_VIDEOS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    *(b"FLV\x01", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),  # Flash; ASF, WMV
    *(b"\0\0\x01\xba", b"\0\0\x01\xb3"),  # MPEG: a program, a bare stream
)
_STILL_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"}
)
_SOUND_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P ", b"aax "})
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})  # bytes
_READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def form_in(location: str | os.PathLike[str]) -> MediaType | None:
    """Tell by its suffix how a file is read, or where that says nothing by its content."""
    form = form_of(os.fspath(location))
    if form is not None or suffix_of(location) in OTHER_SUFFIXES:
        return form
    return sniffed(_head(location))


def kind_in(location: str | os.PathLike[str]) -> Kind | None:
    """Tell a photo from a text, as `form_in` does; None for what is neither."""
    form = form_in(location)
    if form is None:
        return None
    return Kind.TEXT if form == MediaType.TEXT else Kind.PHOTO


def sniffed(head: bytes) -> MediaType | None:
    """Tell a picture or a video by its first bytes; None for all else."""
    if head.startswith(_PICTURES) or _is_webp(head) or _is_bmp(head):
        return MediaType.PICTURE
    if head.startswith(_VIDEOS) or _is_avi(head) or _is_transport_stream(head):
        return MediaType.VIDEO
    if head.startswith(b"OggS") and b"\x80theora" in head[:64]:
        return MediaType.VIDEO
    return _boxed(head)


def _boxed(head: bytes) -> MediaType | None:
    """Tell what is made of boxes, as MP4, MOV and HEIC are."""
    if head[4:8] in (b"moov", b"mdat", b"wide") and head[:4] != b"\0\0\0\0":
        return MediaType.VIDEO  # QuickTime before there were brands
    if head[4:8] != b"ftyp" or len(head) < 12:
        return None
    brand = head[8:12]
    if brand in _SOUND_BRANDS:
        return None
    return MediaType.PICTURE if brand in _STILL_BRANDS else MediaType.VIDEO


def _is_webp(head: bytes) -> bool:
    """Tell WebP."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _is_avi(head: bytes) -> bool:
    """Tell AVI."""
    return head[:4] == b"RIFF" and head[8:12] == b"AVI "


def _is_bmp(head: bytes) -> bool:
    """Tell a bitmap, whose mark of two letters may begin a text, by the size of its header."""
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def _is_transport_stream(head: bytes) -> bool:
    """Tell MPEG-TS by the mark of three packets, of 188 bytes, or of 192 with their time."""
    return any(
        len(head) > first + 2 * size and all(head[first + n * size] == 0x47 for n in range(3))
        for first, size in ((0, 188), (4, 192))
    )


def _head(location: str | os.PathLike[str]) -> bytes:
    """Read the first bytes of a regular file; none of another, and none that is closed to us."""
    try:
        if not stat.S_ISREG(os.stat(location).st_mode):  # noqa: PTH116 - a str, see `walk.Found`
            return b""
        opened = os.open(location, _READING)
    except OSError:
        return b""
    try:
        return os.read(opened, HEAD)
    except OSError:
        return b""
    finally:
        os.close(opened)

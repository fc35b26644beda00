"""Decide whether a video is the moving half of a Live Photo of the same name.

Apple writes one identifier into both halves: into the video as
`com.apple.quicktime.content.identifier`, and into the maker note of the picture. Other phones write
no identifier; for them the length of the video decides. Only the heads are read, some kilobytes of
each file.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from indexer.core.errors import FileUnreadable
from indexer.core.file_access import open_regular
from indexer.media.containers import boxes, content

LIVE_SECONDS = 5.0
"""The film of a Live Photo lasts 3 seconds, those of other phones up to 4."""

_HEAD_BYTES = 1 << 20  # of what describes a film
_PICTURE_BYTES = 1 << 17  # of a picture, among which its maker note lies
_IDENTIFIER = b"com.apple.quicktime.content.identifier"
_MAKER_NOTE = b"Apple iOS\0\0\x01MM"
_CONTENT_TAG = 0x11


def is_live(picture: Path, film: Path) -> bool:
    """Return whether a film belongs to a picture that lies beside it under its name."""
    try:
        if not (picture.is_file() and film.is_file()):  # a pipe would be waited for
            return False
        described = _description(film)
        told = _film_identifier(described)
        if told:
            with open_regular(picture) as file:
                head = file.read(_PICTURE_BYTES)
            if told in head:
                return True
            if _picture_identifier(head):
                return False
        return 0.0 < _seconds(described) <= LIVE_SECONDS
    except (OSError, FileUnreadable):
        return False


def _description(film: Path) -> bytes:
    """Return the box `moov` of a film, which says all about it; empty if it has none."""
    with open_regular(film) as file:
        for name, start, end in boxes(file):
            if name == b"moov":
                file.seek(start)
                return file.read(min(end - start, _HEAD_BYTES))
    return b""


def _seconds(described: bytes) -> float:
    """Return how long a film lasts; 0 where it does not say."""
    head = content(described, b"mvhd")
    unit, length = (20, ">IQ") if head[:1] == b"\1" else (12, ">II")
    try:
        scale, duration = struct.unpack_from(length, head, unit)
    except struct.error:
        return 0.0
    if not duration:  # it is written in fragments
        with suppress(struct.error):
            extends = content(described, b"mvex", b"mehd")
            (duration,) = struct.unpack_from(">Q" if extends[:1] == b"\1" else ">I", extends, 4)
    return float(duration / scale) if scale else 0.0


def _film_identifier(described: bytes) -> bytes:
    """Return the identifier of a film, empty if it has none."""
    abouts = (content(described, b"meta"), content(described, b"udta", b"meta"))
    # QuickTime begins at once with boxes, MP4 with four bytes of a version.
    return next(filter(None, (_value(each[skip:]) for each in abouts for skip in (0, 4))), b"")


def _value(about: bytes) -> bytes:
    """Return the value whose number is that of the identifier's key; empty if there is none."""
    keys = content(about, b"keys")[8:]  # behind a version and how many there are
    names = [keys[start:end] for _, start, end in boxes(BytesIO(keys))]
    if _IDENTIFIER not in names:
        return b""
    number = struct.pack(">I", names.index(_IDENTIFIER) + 1)
    return content(about, b"ilst", number, b"data")[8:].strip(b"\0 ")  # behind type and language


def _picture_identifier(head: bytes) -> bytes:
    """Return the identifier in the maker note of a picture, empty if it has none."""
    note = head[head.find(_MAKER_NOTE) :] if _MAKER_NOTE in head else b""
    with suppress(struct.error):
        (count,) = struct.unpack_from(">H", note, len(_MAKER_NOTE))
        for number in range(count):
            entry = len(_MAKER_NOTE) + 2 + 12 * number
            tag, _, length, at = struct.unpack_from(">HHII", note, entry)
            if tag == _CONTENT_TAG:
                return note[at : at + length].strip(b"\0 ")
    return b""

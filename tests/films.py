"""Heads of films and pictures of phones, byte by byte: what pairs the halves of a Live Photo."""

from __future__ import annotations

import struct
from pathlib import Path

KEY = b"com.apple.quicktime.content.identifier"


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name) + body


def film(
    path: Path, seconds: float, *, identifier: str = "", version: int = 0, lead: int = 0
) -> Path:
    """Write a film without pictures: `lead` bytes, then what says how long it lasts."""
    head = struct.pack(">B3xIIII", version, 0, 0, 600, round(seconds * 600))
    if version:
        head = struct.pack(">B3xQQIQ", version, 0, 0, 600, round(seconds * 600))
    about = b""
    if identifier:
        keys = struct.pack(">II", 0, 2) + box(b"mdta", b"com.apple.quicktime.make")
        keys += box(b"mdta", KEY)
        value = box(b"data", struct.pack(">II", 1, 0), identifier.encode())
        about = box(b"meta", box(b"keys", keys), box(b"ilst", box(struct.pack(">I", 2), value)))
    moov = box(b"moov", box(b"mvhd", head.ljust(100, b"\0")), about)
    path.write_bytes(box(b"ftyp", b"qt  ") + box(b"mdat", b"\0" * lead) + moov)
    return path


def maker_note(identifier: str) -> bytes:
    """Return the maker note of an iPhone with an identifier of the shot."""
    mark = b"Apple iOS\0\0\x01MM"
    value = identifier.encode() + b"\0"
    at = len(mark) + 2 + 12 + 4
    entry = struct.pack(">HHII", 0x11, 2, len(value), at)
    return mark + struct.pack(">H", 1) + entry + struct.pack(">I", 0) + value

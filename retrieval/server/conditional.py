"""Conditions and ranges of requests: is the copy that a client has still right, and which part of a
file does it want.

Source: RFC 9110, HTTP Semantics, sections 13 (conditional requests) and 14 (range requests).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.datastructures import Headers

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a file: its first byte, and how many."""

    first: int
    length: int

    def content_range(self, size: int) -> str:
        """Return the header that says which part of a file of some size it is."""
        return f"bytes {self.first}-{self.first + self.length - 1}/{size}"


class Unsatisfiable(Exception):
    """The range begins behind the end of the file."""


def known_tags(headers: Headers) -> list[str]:
    """Return the tags of the copies that a client has."""
    return _TAG.findall(", ".join(headers.getlist("if-none-match")))


def is_known(headers: Headers, tag: str) -> bool:
    """Tell whether a client has the copy of a tag."""
    return tag in known_tags(headers) or headers.get("if-none-match", "").strip() == "*"


def part_of(headers: Headers, size: int, tag: str) -> Part | None:
    """Return the part of a file that a client wants; None for all of it.

    Several ranges at once, and what is no range of bytes, count as all of it. So does a range of
    a copy that has changed since (If-Range).

    Args:
        headers: of the request.
        size: bytes of the file.
        tag: of the file.

    Raises:
        Unsatisfiable: there is no such part.
    """
    found = _RANGE.fullmatch(headers.get("range", "").strip())
    if found is None or headers.get("if-range", f'"{tag}"') != f'"{tag}"':
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        length = min(int(last), size)
        return _part(size - length, length)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < int(first):
        return None
    return _part(int(first), end - int(first) + 1)


def _part(first: int, length: int) -> Part:
    """Return a part that is not empty."""
    if length <= 0:
        raise Unsatisfiable
    return Part(first=first, length=length)

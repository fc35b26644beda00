"""Choose the original among several copies, and say why in words.

| question, in this order | the original is |
|---|---|
| is it intact? | a file without damage |
| is it a file of its own? | a file, rather than a link to a file elsewhere |
| how much metadata does it have? | one with a camera, then one with more of lens, place, … |
| does it have a date? | one with a date, then the earlier one |
| how many bits per colour? | one with more |
| how large is it? | one with more pixels; among near copies, then one with more bytes |
| does a RAW file or a video belong to it? | one with such a file |
| do links lead to it? | one with more links |
| how old is the file? | the oldest |
| what is its name? | no "copy" or "(1)", then the shorter name, then the first by path |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.core.types import Metadata

_COPY_MARK = re.compile(
    r"\b(copy|copie|copia|kopie|kopia|kopio)\b|\(\d+\)|コピー|副本", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class OriginalTraits:
    """The traits that decide which copy is the original.

    Attributes:
        path: of the file.
        is_damaged: whether it is damaged beside its picture.
        is_link: whether it is a link to a file that the library does not hold otherwise.
        about: what it says about itself; `also` are the files of the same shot beside it.
        depth: bits a colour.
        pixels: of the picture.
        bytes: of the file.
        mtime_ns: when the file was last changed, in nanoseconds since 1970.
        links: how many other names it has.
    """

    path: Path
    is_link: bool
    about: Metadata
    depth: int
    pixels: int
    bytes: int
    mtime_ns: int
    links: int = 0
    is_damaged: bool = False


def rank(copy: OriginalTraits, *, exact: bool) -> tuple[Any, ...]:
    """Return the sort key of a copy; the original comes first.

    Args:
        copy: one of several.
        exact: whether all of them show the same; then more bytes are no merit.
    """
    return tuple(value for value, _ in _criteria(copy, exact=exact))


def why(copies: Sequence[OriginalTraits], *, exact: bool) -> str:
    """Say why the first of several copies, in order, is the one to keep."""
    first, second = (_criteria(copy, exact=exact) for copy in copies[:2])
    return next(
        (words for (one, words), (other, _) in zip(first, second, strict=True) if one != other),
        "it is the first by name",
    )


def lacking(kept: OriginalTraits, copy: OriginalTraits) -> tuple[str, ...]:
    """Return what a copy has and the kept one lacks: deleting the copy would lose it."""
    theirs = _said(kept.about)
    found = [name for name in _said(copy.about) if name not in theirs]
    found += ["more bits per colour"] if copy.depth > kept.depth else []
    found += ["more pixels"] if copy.pixels > kept.pixels else []
    return tuple(found)


def _criteria(copy: OriginalTraits, *, exact: bool) -> list[tuple[Any, str]]:
    """Return what is asked of a copy: less is better, and how to say so."""
    about, name = copy.about, copy.path.stem
    said = [each for each in _said(about) if each != "date"]
    taken = about.taken.isoformat() if about.taken else ""
    return [
        (copy.is_damaged, "it is intact, and the other is damaged"),
        (copy.is_link, "it is a file, and the other is a link"),
        (not about.camera, f"it has metadata ({', '.join(said)})"),
        (-len(said), f"it has more metadata ({', '.join(said)})"),
        (not taken, "it has a date"),
        (taken, "it has the earlier date"),
        (-copy.depth, f"it has more bits per colour ({copy.depth})"),
        (-copy.pixels, "it has more pixels"),
        (0 if exact else -copy.bytes, "it has more bytes, so it is less compressed"),
        (not about.also, f"it belongs to {', '.join(about.also)}"),
        (-copy.links, "more links point to it"),
        (copy.mtime_ns, "it is the oldest file"),
        (bool(_COPY_MARK.search(name)), "its name does not call it a copy"),
        (len(copy.path.name), "its name is the shortest"),
        (copy.path, "it is the first by name"),
    ]


def _said(about: Metadata) -> list[str]:
    """Name what a photo says about itself."""
    values = {
        "camera": about.camera,
        "lens": about.lens,
        "date": about.taken,
        "position": about.latitude is not None,
        "rating": about.rating is not None,
        "keywords": about.keywords,
        "title": about.title,
        "caption": about.caption,
    }
    return [name for name, value in values.items() if value]

"""Parse the signs of a query: terms that are added, removed and weighted.

| written | meaning |
|---|---|
| `beach + sunset` | both at once |
| `beach - people` | a beach, and no people |
| `2:beach + sunset` | both, and the beach counts twice |
| `./photo.jpg + at night` | what is on the photo, at night |

A sign needs a space or an end on each side: "t-shirt", "C++" and "-people" are words. A weight is a
number and a colon directly before its term; "16:9" is a word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from PIL import Image

from retrieval.errors import QueryInvalid

Written: TypeAlias = str | Path | Image.Image
"""What a term may be written as: words, a file or, in Python, a picture."""

FILE_MARKS = ("./", "../", "/", "~/", "file://")
"""What begins with one of these is a file."""

_SIGN = re.compile(r"(?:^|(?<=\s))([+-])(?=\s|$)")
_WEIGHT = re.compile(r"(\d+(?:\.\d+)?):(?=[^\s\d])")


@dataclass(frozen=True, kw_only=True)
class QueryPart:
    """One term as it was written. A weight below 0 makes it a negative term."""

    written: Written
    weight: float = 1.0


def split_terms(written: Sequence[Written], *, files: bool = True) -> list[QueryPart]:
    """Split a query at its signs; it may come as one string or as several.

    Strings beside each other are one run of words. A file that exists is a term of its own,
    whatever its name holds; beside words without a sign it is added to them. Without `files`, no
    string is one.

    Raises:
        QueryInvalid: a sign has no term after it, or a weight is not above 0.
    """
    parts: list[QueryPart] = []
    sign = ""
    for piece in _pieces(written, files):
        if piece not in ("+", "-"):
            parts.append(_part(piece, sign))
            sign = ""
        elif sign:
            raise QueryInvalid(_no_term(sign))
        else:
            sign = str(piece)
    if sign:
        raise QueryInvalid(_no_term(sign))
    return parts


def path_of(written: str) -> Path:
    """Turn a path or a `file://` address into a path; a malformed one names no file."""
    if written.startswith("~/"):
        return Path(written).expanduser()
    if not written.startswith("file://"):
        return Path(written)
    try:
        return Path(unquote(urlsplit(written).path))
    except ValueError:
        return Path(written)


def exists(path: Path) -> bool:
    """Return whether there is a file or folder; what cannot be a name is none."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or a NUL byte
        return False


def _pieces(written: Sequence[Written], files: bool) -> Iterator[Written]:
    """Yield files, pictures, signs, and the words between them."""
    words: list[str] = []
    for each in written:
        if isinstance(each, str) and not (files and _is_file(each)):
            words.append(each)
        else:
            yield from _split(words)
            words = []
            yield each
    yield from _split(words)


def _split(words: Sequence[str]) -> list[str]:
    """Split a run of strings into signs and what is between them."""
    return [piece.strip() for piece in _SIGN.split(" ".join(words)) if piece.strip()]


def _is_file(written: str) -> bool:
    """Return whether a string, but for a weight before it, names a file that exists."""
    name = _WEIGHT.sub("", written, count=1) if _WEIGHT.match(written) else written
    return name.startswith(FILE_MARKS) and exists(path_of(name))


def _part(piece: Written, sign: str) -> QueryPart:
    """Read the weight before a term."""
    found = _WEIGHT.match(piece) if isinstance(piece, str) else None
    if found is None or not isinstance(piece, str):
        return QueryPart(written=piece, weight=-1.0 if sign == "-" else 1.0)
    weight = float(found[1])
    if not 0 < weight < math.inf:
        raise QueryInvalid(
            f"'{piece}': a weight must be above 0; to remove the term, put - before it"
        )
    return QueryPart(written=piece[found.end() :], weight=-weight if sign == "-" else weight)


def _no_term(sign: str) -> str:
    """Return the error message for a sign without a term."""
    return f'a {sign} in the query has no term after it; write e.g. "beach {sign} people"'

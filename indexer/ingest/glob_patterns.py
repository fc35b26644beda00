"""Patterns of `.gitignore` as regular expressions without exponential backtracking.

Each star is followed by fixed text, and the first place where that text matches is as good as any
other. So the match is atomic. Matching takes time that grows with the length of pattern and path,
not exponentially with the number of stars.

Source: https://git-scm.com/docs/gitignore and `wildmatch.c` of git.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_WILD = frozenset("*?[\\")
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}
"""The classes of POSIX, as sets of a regular expression."""

_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True, kw_only=True)
class GlobPattern:
    """One line of an ignore file.

    Attributes:
        text: without its signs.
        keeps: whether it takes back what an earlier line left out (`!`).
        anchored: whether it names a path from the folder of its file on, or a name at any depth.
        folders_only: whether it ends in a slash.
    """

    text: str
    keeps: bool
    anchored: bool
    folders_only: bool

    @property
    def is_plain(self) -> bool:
        """Return whether it has no wildcards."""
        return _WILD.isdisjoint(self.text)

    def compiled(self) -> re.Pattern[str]:
        """Return what matches a path, or a name where it is not anchored."""
        parts = self.text.split("/") if self.anchored else [self.text]
        try:
            return re.compile(_path(parts), re.DOTALL)
        except (re.error, _NothingMatches):
            return _NEVER


class _NothingMatches(ValueError):
    """A pattern that git takes for one that matches nothing, such as one with an open bracket."""


def parsed(line: str) -> GlobPattern | None:
    """Read one line; None for an empty one or a remark."""
    line = _without_end(line)
    if not line or line.startswith("#"):
        return None
    keeps = line.startswith("!")
    text = line[1:] if keeps else line
    folders_only = text.endswith("/")
    text = text[:-1] if folders_only else text
    anchored = "/" in text
    text = text.removeprefix("/")
    if not text:
        return None
    return GlobPattern(text=text, keeps=keeps, anchored=anchored, folders_only=folders_only)


def _without_end(line: str) -> str:
    """Drop the spaces at the end, but for one after a backslash."""
    line = line.removesuffix("\r")
    bare = line.rstrip(" ")
    slashes = len(bare) - len(bare.rstrip("\\"))
    return bare + " " if slashes % 2 and len(bare) < len(line) else bare


def _path(parts: Sequence[str]) -> str:
    """Return the expression of a path, part by part; `**` stands for any folders."""
    whole, runs = "", list(_runs(parts))
    for number, (any_depth, names) in enumerate(runs):
        last = number == len(runs) - 1
        fixed = "/".join(map(_name, names))
        if not any_depth:
            whole += fixed if last else f"{fixed}/"
        elif not names:  # `**` at the end: all that lies below
            whole += ".+"
        elif last:
            # One name can only be the last of the path.
            whole += f"(?:.*/)?+{fixed}" if len(names) == 1 else f"(?:[^/]*/)*?{fixed}"
        else:
            whole += f"(?>(?:[^/]*/)*?{fixed}/)"
    return whole


def _runs(parts: Sequence[str]) -> Iterator[tuple[bool, list[str]]]:
    """Yield runs of names, and whether `**` stands before each."""
    any_depth, names = False, list[str]()
    for part in parts:
        if part != "**":
            names.append(part)
            continue
        if names:
            yield any_depth, names
        any_depth, names = True, []
    yield any_depth, names


def _name(pattern: str) -> str:
    """Return the expression of one name. Each star but the last takes the first that fits."""
    tokens = list(_tokens(pattern))
    pieces = [[]] if not tokens else [list[str]()]
    for token in tokens:
        if token == "*":
            if pieces[-1] or len(pieces) == 1:
                pieces.append([])
        else:
            pieces[-1].append(token)
    first, *rest = ("".join(piece) for piece in pieces)
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>[^/]*?{piece})" for piece in middle) + _ending(last)


def _ending(last: str) -> str:
    """Return the expression of the last star and what follows it, up to the end of the name."""
    return f"[^/]*{last}" if last else "[^/]*"


def _tokens(pattern: str) -> Iterator[str]:
    """Yield the expressions of single characters, and "*"."""
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "\\":
            if at == len(pattern):
                raise _NothingMatches
            yield re.escape(pattern[at])
            at += 1
        elif char == "[":
            expression, at = _bracket(pattern, at)
            yield expression
        else:
            yield {"*": "*", "?": "[^/]"}.get(char) or re.escape(char)


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    """Return the expression of a set of characters, and where the pattern goes on.

    Raises:
        _NothingMatches: it does not end.
    """
    negated = pattern[at : at + 1] in ("!", "^")
    start = at = at + negated
    members = ""
    while at == start or pattern[at : at + 1] != "]":
        if at >= len(pattern):
            raise _NothingMatches
        more, at = _class(pattern, at) or _range(pattern, at)
        members += more

    return f"(?!/)[{'^' if negated else ''}{members}]", at + 1


def _class(pattern: str, at: int) -> tuple[str, int] | None:
    """Read a class such as `[:alpha:]` within a set; None for all else.

    Raises:
        _NothingMatches: there is no such class.
    """
    if not pattern.startswith("[:", at):
        return None
    end = pattern.find("]", at + 2)
    if end < 0:
        raise _NothingMatches
    if end == at + 2 or pattern[end - 1] != ":":
        return None
    name = pattern[at + 2 : end - 1]
    if name not in _CLASSES:
        raise _NothingMatches
    return _CLASSES[name], end + 1


def _range(pattern: str, at: int) -> tuple[str, int]:
    """Read one character of a set, or a range of them."""
    low, at = _member(pattern, at)
    if pattern[at : at + 1] != "-" or pattern[at + 1 : at + 2] in ("", "]"):
        return re.escape(low), at
    high, at = _member(pattern, at + 1)
    # Of a range that runs backwards its first character counts, as in git.
    return (f"{re.escape(low)}-{re.escape(high)}" if low <= high else re.escape(low)), at


def _member(pattern: str, at: int) -> tuple[str, int]:
    """Read one character of a set, which a backslash may stand before."""
    if pattern[at] == "\\":
        at += 1
        if at == len(pattern):
            raise _NothingMatches
    return pattern[at], at + 1

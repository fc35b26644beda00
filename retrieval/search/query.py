"""A query as a person writes it: words, or a file that looks like one.

| written | is |
|---|---|
| `a cat on a sofa` | words |
| `./cat.jpg` `../cat.jpg` `/photos/cat.jpg` `~/cat.jpg` `file:///photos/cat.jpg` | a photo |
| `./note.txt` | the words in that file |
| `Path("cat.jpg")` (from Python) | a file, whatever it looks like |
| `a cat after:2019 camera:x100` | words and filters; see `retrieval.search.filters` |
| `after:2019` | filters alone: all photos that they let through |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from indexer.errors import FileUnreadable
from indexer.filters import Filter
from indexer.texts import read_passages
from indexer.types import Kind
from indexer.walk import kind_of
from retrieval.errors import QueryInvalid
from retrieval.search.filters import parse_filters, split_filters

FILE_MARKS = ("./", "../", "/", "~/", "file://")


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is looked for: words in `text`, or the photo at `path`; `where` says among what.

    `path` is set for a text file too: where the words came from. Without words and a path, all
    that `where` lets through is looked for. `hint` is a line for the person who may have meant
    something else; empty as a rule.
    """

    kind: Kind
    text: str = ""
    path: Path | None = None
    where: Filter | None = None
    hint: str = ""

    @property
    def is_filter(self) -> bool:
        """Tell whether neither words nor a photo are looked for."""
        return not self.text and self.path is None


def parse_query(written: str | Path, *, filters: Sequence[tuple[str, str]] = ()) -> Query:
    """Tell words from a file, read the file if it is a text, and part words from filters.

    Args:
        written: the query.
        filters: names and values of filters beside those in the words: `[("after", "2019")]`.

    Raises:
        QueryInvalid: nothing is asked for, the file is missing, empty or no text, or a filter
            cannot be understood.
    """
    if isinstance(written, Path):
        return replace(_file_query(written), where=parse_filters(filters))
    if written.startswith(FILE_MARKS):
        return replace(_file_query(_path(written)), where=parse_filters(filters))
    words, within = split_filters(written)
    where = parse_filters([*within, *filters])
    if not words and where is None:
        raise QueryInvalid('the query is empty; say what to look for, e.g. "a cat on a sofa"')
    return Query(kind=Kind.TEXT, text=words, where=where, hint=_hint(written))


def _path(written: str) -> Path:
    """Turn a path or a `file://` address into a path."""
    if written.startswith("file://"):
        return Path(unquote(urlsplit(written).path))
    return Path(written).expanduser()


def _file_query(path: Path) -> Query:
    """Make a query of an existing file."""
    if not path.exists():
        raise QueryInvalid(f"no file at '{path}' to search with; words need no path before them")
    if not path.is_file():
        raise QueryInvalid(f"'{path}' is no file; name one photo or text to search with")
    if kind_of(path) == Kind.TEXT:
        return Query(kind=Kind.TEXT, text=_words(path), path=path)
    return Query(kind=Kind.PHOTO, path=path)


def _words(path: Path) -> str:
    """Read a text file as one run of words."""
    try:
        return " ".join(read_passages(path).passages)
    except FileUnreadable as error:
        raise QueryInvalid(f"cannot search with '{path}': {error}") from error


def _hint(written: str) -> str:
    """Say how to search with a file that the words happen to name."""
    try:
        named = Path(written).is_file()
    except (OSError, ValueError):  # too long, or a NUL byte: no name of a file
        return ""
    return f"searching for the words; '{written}' is also a file here: ./{written}" if named else ""

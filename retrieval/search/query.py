"""A query as a person writes it: words, or a file that looks like one.

| written | is |
|---|---|
| `a cat on a sofa` | words |
| `./cat.jpg` `../cat.jpg` `/photos/cat.jpg` `~/cat.jpg` `file:///photos/cat.jpg` | a photo |
| `./note.txt` | the words in that file |
| `Path("cat.jpg")` (from Python) | a file, whatever it looks like |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from indexer.errors import FileUnreadable
from indexer.texts import read_passages
from indexer.types import Kind
from indexer.walk import kind_of
from retrieval.errors import QueryInvalid

FILE_MARKS = ("./", "../", "/", "~/", "file://")


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is looked for: words in `text`, or the photo at `path`.

    `path` is set for a text file too: where the words came from. `hint` is a line for the
    person who may have meant something else; empty as a rule.
    """

    kind: Kind
    text: str = ""
    path: Path | None = None
    hint: str = ""


def parse_query(written: str | Path) -> Query:
    """Tell words from a file, and read the file if it is a text.

    Raises:
        QueryInvalid: nothing is asked for, or the file is missing, empty or no text.
    """
    if isinstance(written, Path):
        return _file_query(written)
    if written.startswith(FILE_MARKS):
        return _file_query(_path(written))
    words = " ".join(written.split())
    if not words:
        raise QueryInvalid('the query is empty; say what to look for, e.g. "a cat on a sofa"')
    return Query(kind=Kind.TEXT, text=words, hint=_hint(written))


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

"""Parse a query as a person writes it: words, or a file if it looks like one.

| written | is |
|---|---|
| `a cat on a sofa` | words |
| `./cat.jpg` `../cat.jpg` `/photos/cat.jpg` `~/cat.jpg` `file:///photos/cat.jpg` | a photo |
| `./note.txt` | the words in that file |
| `Path("cat.jpg")` (from Python) | a file, whatever it looks like |
| `a cat after:2019 camera:x100` | words and filters; see `retrieval.search.filter_syntax` |
| `after:2019` | filters alone: all photos that they let through |
| `beach + sunset - people` | terms, each of the above; see `retrieval.search.query_terms` |
| `a beach without people` | `a beach - people`; see `retrieval.search.negation` |
| `"a beach without people"` (quotes around all) | the words as they stand |
| an open picture, or an array of its pixels (from Python) | a photo |
"""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.core.errors import FileUnreadable
from indexer.core.file_types import kind_of
from indexer.core.filters import Filter
from indexer.core.types import Kind, readable
from indexer.media.text import read_passages
from retrieval.errors import QueryInvalid
from retrieval.search.filter_syntax import (
    misspelt_filter,
    parse_filters,
    places_meant,
    split_filters,
    written_filters,
)
from retrieval.search.negation import parted, worn
from retrieval.search.query_terms import (
    FILE_MARKS,
    QueryPart,
    Written,
    exists,
    path_of,
    split_terms,
)

Searchable: TypeAlias = Written | os.PathLike[str] | NDArray[np.uint8]
"""What a piece of a query may be."""

TermReader: TypeAlias = "Callable[[str], Query | None]"
"""Reads a term that names something, in place of a path; None for one that is words."""

_QUOTED = re.compile(r'["“„«]([^"“”„«»]+)["“”»]')  # all of it: no model asks for a phrase
_ADDRESS = re.compile(r"(?i)(?<!\S)(?:(?:https?|ftp)://|www\.|data:image/)\S+")
_TAKEN = re.compile(r"(?:^|\s)(-[^\W\d]\w*)")  # "-people": a minus at once before a word


@dataclass(frozen=True, kw_only=True)
class Query:
    """A parsed query: words in `text`, the photo at `path`, or several `terms` together.

    `where` is the filter expression, and `filters` how it was written. `path` is also set for a
    text file: the words came from there. Without words, photo and terms, all items that pass
    `where` are found. `photo` is a picture in place of a file, `key` its name if it has one; `item`
    is the id of a photo of the library, whose stored vector is the query. Items whose ids are
    `excluded` are never found. `hint` is a message for a person who may have meant something else;
    usually empty. `notes` are messages about how the query was understood: which place a name
    stands for, what is excluded. With `terms`, `text` is what was written, and `kind` is that of
    words if any term has words.
    """

    kind: Kind
    text: str = ""
    path: Path | None = None
    where: Filter | None = None
    filters: str = ""
    hint: str = ""
    terms: tuple[Term, ...] = ()
    photo: Image.Image | None = None
    notes: tuple[str, ...] = ()
    key: str = ""
    item: int | None = None
    excluded: frozenset[int] = frozenset()

    @property
    def is_filter(self) -> bool:
        """Return whether the query has filters only, without words and photo."""
        asked = (self.photo, self.item)
        return not (self.text or self.path or self.terms) and asked == (None, None)

    @property
    def only_takes_away(self) -> bool:
        """Return whether the query only excludes things."""
        return bool(self.terms) and all(term.weight < 0 for term in self.terms)

    @property
    def words(self) -> str:
        """The words that are searched for: of several terms, the added ones."""
        if not self.terms:
            return self.text
        added = (term.query for term in self.terms if term.weight > 0)
        return " and ".join(query.text for query in added if query.text)


@dataclass(frozen=True, kw_only=True)
class Term:
    """One term of a query.

    Attributes:
        query: words or a photo, without terms of its own.
        weight: relative to the other terms; below 0 for a negative term.
    """

    query: Query
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.query, Query):
            raise QueryInvalid(f"a term needs a Query, not {_called(self.query)}; see parse_query")
        if self.query.terms:
            raise QueryInvalid(
                f"'{self.query.text}' has terms of its own; write all terms in one query"
            )
        if not math.isfinite(self.weight) or self.weight == 0:
            raise QueryInvalid(f"a weight must be a number other than 0, not {self.weight}")


def parse_query(
    *written: Searchable,
    filters: Sequence[tuple[str, str]] = (),
    read_term: TermReader | None = None,
) -> Query:
    """Parse a query into words, files, filters and terms, and read its text files.

    Args:
        written: the query, in one piece or several: `"beach - people"`, or
            `"beach", "-", Path("people.jpg")`. A piece is a str, a path, a `PIL.Image.Image`, or an
            array of pixels: uint8, of shape (height, width), (height, width, 3 or 4).
        filters: names and values of further filters: `[("after", "2019")]`.
        read_term: reads what a term names. With it, a str is never taken for a path, and no file
            is looked at: for queries of strangers.

    Raises:
        QueryInvalid: the query is empty, a file is missing, empty or not a text, a filter cannot be
            parsed, or a piece is of another type.
    """
    with_files = read_term is None
    pieces, within = _without_filters([_piece(each) for each in written], with_files)
    among = [*within, *filters]
    where, told, notes = parse_filters(among), written_filters(among), places_meant(among)
    literal = len(pieces) == 1 and bool(_quoted(pieces[0]))
    parts = [QueryPart(written=pieces[0])] if literal else split_terms(pieces, files=with_files)
    terms = [term for part in parts for term in _terms(part, read_term)]
    if not terms and where is None:
        raise QueryInvalid('the query is empty; say what to look for, e.g. "a cat on a sofa"')
    if not terms:
        return Query(kind=Kind.TEXT, where=where, filters=told, notes=notes)
    negated = [term.weight for term in terms] != [part.weight for part in parts]
    if negated or not any(term.weight > 0 for term in terms):
        notes = (*notes, _understood(terms))
    if len(terms) == 1 and terms[0].weight > 0:
        return replace(terms[0].query, where=where, filters=told, notes=notes)
    text = " ".join(readable(" ".join(map(_as_words, pieces))).split())
    return replace(compose(terms, text=text), where=where, filters=told, notes=notes)


def filters_within(text: str) -> list[tuple[str, str]]:
    """Return the filters in a written query, as names and values; words in quotes hold none."""
    return [] if _quoted(text) else split_filters(text)[1]


def _piece(written: object) -> Written:
    """Return a piece of a query as one of the types that are read.

    Raises:
        QueryInvalid: it is of none.
    """
    match written:
        case str() | Path() | Image.Image():
            return written
        case np.ndarray():
            return _picture(written)
        case os.PathLike():
            return Path(os.fsdecode(written))
        case bytes() | bytearray() | memoryview():
            more = "; open them first: PIL.Image.open(io.BytesIO(data))"
        case list() | tuple():
            more = "; several terms are pieces of one query: parse_query('beach', '-', photo)"
        case _:
            more = ""
    raise QueryInvalid(
        f"a query is words (str), a file (Path) or a picture (PIL.Image.Image, or an array of "
        f"uint8), not {_called(written)}{more}"
    )


def _picture(pixels: NDArray[Any]) -> Image.Image:
    """Return an array of pixels as a picture."""
    channels = pixels.shape[2:]
    if pixels.dtype != np.uint8 or channels not in ((), (3,), (4,)) or not pixels.ndim >= 2:
        raise QueryInvalid(
            f"an array of {pixels.dtype} and shape {pixels.shape} is not a picture; give uint8 of "
            "shape (height, width), (height, width, 3) or (height, width, 4)"
        )
    if not pixels.size:
        raise QueryInvalid(f"an array of shape {pixels.shape} has no pixels")
    return Image.fromarray(np.ascontiguousarray(pixels))


def _called(value: object) -> str:
    """Name the type of a value."""
    return "None" if value is None else type(value).__name__


def _without_filters(
    written: Sequence[Written], files: bool
) -> tuple[list[Written], list[tuple[str, str]]]:
    """Part the pieces of a query from the filters in them; a file's name holds none.

    Raises:
        QueryInvalid: a piece names an address on the web.
    """
    pieces: list[Written] = []
    within: list[tuple[str, str]] = []
    for piece in written:
        if not isinstance(piece, str) or (files and _is_file(piece)) or _quoted(piece):
            pieces.append(piece)
        else:
            words, found = split_filters(piece)
            _check_address(words)
            pieces += [words] if words or not found else []
            within += found
    return pieces, within


def _is_file(piece: str) -> bool:
    """Return whether a piece names a file that exists."""
    return piece.startswith(FILE_MARKS) and exists(path_of(piece))


def _check_address(words: str) -> None:
    """Refuse an address on the web, which would be read as words."""
    found = _ADDRESS.search(words)
    if found is not None:
        shown = found[0] if len(found[0]) <= _SHOWN else f"{found[0][:_SHOWN]}…"
        raise QueryInvalid(
            f"'{shown}' is an address on the web, which twinlens does not open; download the photo "
            "and search with the file: twinlens search ./photo.jpg"
        )


_SHOWN = 100  # characters of an address


def _quoted(piece: object) -> str:
    """Return the words between quotes around all of a piece; empty where there are none."""
    found = _QUOTED.fullmatch(piece.strip()) if isinstance(piece, str) else None
    return found[1] if found is not None else ""


def _terms(part: QueryPart, read_term: TermReader | None) -> list[Term]:
    """Return a part of a query as a term; one that negates something as several."""
    named, simple = _named(part.written, read_term), partial(_simple, read_term=read_term)
    if named is not None:
        return [Term(query=named, weight=part.weight)]
    written = str(part.written)
    found = parted(written) if part.weight > 0 and not _quoted(written) else None
    if found is None:
        return [Term(query=simple(written), weight=part.weight)]
    wanted = [Term(query=simple(found.wanted), weight=part.weight)] if found.wanted else []
    return wanted + [Term(query=simple(each), weight=-part.weight) for each in found.unwanted]


def _understood(terms: Sequence[Term]) -> str:
    """Say what a query with a negation in it is taken as."""
    added = " + ".join(term.query.text for term in terms if term.weight > 0) or "all photos"
    taken = "".join(f" - {term.query.text}" for term in terms if term.weight < 0)
    return (
        f"searching for: {added}{taken}; to search for the words as they stand, put quotes around "
        "the whole query"
    )


def _as_words(piece: Written) -> str:
    """Return a piece as a person would write it."""
    return "(a picture)" if isinstance(piece, Image.Image) else str(piece)


def compose(terms: Sequence[Term], *, text: str = "") -> Query:
    """Make one query of several terms; `text` is how a person would write it.

    If all terms are negative, the query finds photos that show none of them.

    Raises:
        QueryInvalid: there is no term.
    """
    if not terms:
        raise QueryInvalid('the query is empty; say what to look for, e.g. "a cat on a sofa"')
    words = any(term.query.kind == Kind.TEXT for term in terms)
    hints = dict.fromkeys(term.query.hint for term in terms if term.query.hint)
    return Query(
        kind=Kind.TEXT if words else Kind.PHOTO,
        text=text,
        hint="; ".join(hints),
        terms=tuple(terms),
    )


def _named(written: Written, read_term: TermReader | None) -> Query | None:
    """Make a query of a term that is a picture or names something; None for words."""
    if isinstance(written, Image.Image):
        return Query(kind=Kind.PHOTO, photo=written)
    if isinstance(written, Path):
        return _file_query(written)
    if read_term is not None:
        return read_term(written)
    return _file_query(path_of(written)) if written.startswith(FILE_MARKS) else None


def _simple(written: str, read_term: TermReader | None) -> Query:
    """Make a query of one term: of what it names, else of its words."""
    named = _named(written, read_term)
    if named is not None:
        return named
    files = read_term is None
    quoted = _quoted(written)
    words = unicodedata.normalize("NFKC", " ".join(readable(quoted or written).split()))
    return Query(kind=Kind.TEXT, text=words, hint="" if quoted else _hint(written, files=files))


def _file_query(path: Path) -> Query:
    """Make a query of an existing file."""
    if not exists(path):
        raise QueryInvalid(f"no file at '{path}' to search with; words need no path before them")
    if not path.is_file():
        raise QueryInvalid(f"'{path}' is not a file; name one photo or text to search with")
    if kind_of(path) == Kind.TEXT:
        return Query(kind=Kind.TEXT, text=_words(path), path=path)
    return Query(kind=Kind.PHOTO, path=path)


def _words(path: Path) -> str:
    """Read a text file as one run of words."""
    try:
        return " ".join(read_passages(path).passages)
    except FileUnreadable as error:
        raise QueryInvalid(f"cannot search with '{path}': {error}") from error


def _hint(written: str, *, files: bool) -> str:
    """Return what the person may have meant instead; usually empty."""
    if files and exists(Path(written)) and Path(written).is_file():
        return f"searching for the words; '{written}' is also a file here: ./{written}"
    return "; ".join(filter(None, (misspelt_filter(written), _taken_hint(written))))


def _taken_hint(written: str) -> str:
    """Return how to exclude something, if that may be meant."""
    found = _TAKEN.search(written)
    if found is not None:
        return f"'{found[1]}' is searched for as it stands; to remove it, write: - {found[1][1:]}"
    absent = worn(written)
    if not absent:
        return ""
    return f"searching for the words as they stand; to remove {absent}, write: - {absent}"

"""A query as a person writes it: words, or a file that looks like one.

| written | is |
|---|---|
| `a cat on a sofa` | words |
| `./cat.jpg` `../cat.jpg` `/photos/cat.jpg` `~/cat.jpg` `file:///photos/cat.jpg` | a photo |
| `./note.txt` | the words in that file |
| `Path("cat.jpg")` (from Python) | a file, whatever it looks like |
| `a cat after:2019 camera:x100` | words and filters; see `retrieval.search.filters` |
| `after:2019` | filters alone: all photos that they let through |
| `beach + sunset - people` | terms, each of the above; see `retrieval.search.algebra` |
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from indexer.errors import FileUnreadable
from indexer.formats import kind_of
from indexer.texts import read_passages
from indexer.types import Kind, readable
from indexer.wanted import Filter
from retrieval.errors import QueryInvalid
from retrieval.search.algebra import FILE_MARKS, exists, path_of, split_terms
from retrieval.search.filters import parse_filters, split_filters, written_filters

_QUOTED = re.compile(r'["“„«]([^"“”„«»]+)["“”»]')  # all of it: no model asks for a phrase
_TAKEN = re.compile(r"(?:^|\s)(-[^\W\d]\w*)")  # "-people": a minus at once before a word


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is looked for: words in `text`, the photo at `path`, or several `terms` together.

    `where` says among what, and `filters` how that was written. `path` is set for a text file too:
    where the words came from. Without words, photo and terms, all that `where` lets through is
    looked for. `hint` is a line for the person who may have meant something else; empty as a rule.
    With `terms`, `text` is what was written, and `kind` is that of words if any of them asks in
    words.
    """

    kind: Kind
    text: str = ""
    path: Path | None = None
    where: Filter | None = None
    filters: str = ""
    hint: str = ""
    terms: tuple[Term, ...] = ()

    @property
    def is_filter(self) -> bool:
        """Tell whether neither words nor a photo are looked for."""
        return not (self.text or self.path or self.terms)

    @property
    def words(self) -> str:
        """The words that are asked for: of several terms, those that are added."""
        if not self.terms:
            return self.text
        added = (term.query for term in self.terms if term.weight > 0)
        return " and ".join(query.text for query in added if query.text)


@dataclass(frozen=True, kw_only=True)
class Term:
    """One of the terms of a query.

    Attributes:
        query: words or a photo, without terms of its own.
        weight: how much it counts beside the others; below 0 it pushes down what it names.
    """

    query: Query
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.query.terms:
            raise QueryInvalid(f"'{self.query.text}' has terms of its own; join all in one query")
        if not math.isfinite(self.weight) or self.weight == 0:
            raise QueryInvalid(f"a weight must be a number other than 0, not {self.weight}")


def parse_query(*written: str | Path, filters: Sequence[tuple[str, str]] = ()) -> Query:
    """Tell words, files, filters and terms from each other, and read the files that are texts.

    Args:
        written: the query, in one piece or several: `"beach - people"`, or
            `"beach", "-", Path("people.jpg")`.
        filters: names and values of filters beside those in the words: `[("after", "2019")]`.

    Raises:
        QueryInvalid: nothing is asked for, a file is missing, empty or no text, or a filter
            cannot be understood.
    """
    pieces, within = _without_filters(written)
    among = [*within, *filters]
    where, told = parse_filters(among), written_filters(among)
    terms = [Term(query=_simple(part.written), weight=part.weight) for part in split_terms(pieces)]
    if not terms and where is None:
        raise QueryInvalid('the query is empty; say what to look for, e.g. "a cat on a sofa"')
    if not terms:
        return Query(kind=Kind.TEXT, where=where, filters=told)
    if len(terms) == 1 and terms[0].weight > 0:
        return replace(terms[0].query, where=where, filters=told)
    text = " ".join(readable(" ".join(map(str, pieces))).split())
    return replace(compose(terms, text=text), where=where, filters=told)


def _without_filters(
    written: Sequence[str | Path],
) -> tuple[list[str | Path], list[tuple[str, str]]]:
    """Part the pieces of a query from the filters in them; a file's name holds none."""
    pieces: list[str | Path] = []
    within: list[tuple[str, str]] = []
    for piece in written:
        if isinstance(piece, Path) or (piece.startswith(FILE_MARKS) and exists(path_of(piece))):
            pieces.append(piece)
        else:
            words, found = split_filters(piece)
            pieces.append(words)
            within += found
    return pieces, within


def compose(terms: Sequence[Term], *, text: str = "") -> Query:
    """Make one query of several terms; `text` is how a person would write it.

    Raises:
        QueryInvalid: no term asks for anything.
    """
    if not any(term.weight > 0 for term in terms):
        raise QueryInvalid(
            'the query says only what not to find; say what to find, too: "beach - people"'
        )
    words = any(term.query.kind == Kind.TEXT for term in terms)
    hints = dict.fromkeys(term.query.hint for term in terms if term.query.hint)
    return Query(
        kind=Kind.TEXT if words else Kind.PHOTO,
        text=text,
        hint="; ".join(hints),
        terms=tuple(terms),
    )


def _simple(written: str | Path) -> Query:
    """Make a query of one term: a file, or words."""
    if isinstance(written, Path):
        return _file_query(written)
    if written.startswith(FILE_MARKS):
        return _file_query(path_of(written))
    words = " ".join(readable(written).split())
    quoted = _QUOTED.fullmatch(words)
    return Query(kind=Kind.TEXT, text=quoted[1] if quoted else words, hint=_hint(written))


def _file_query(path: Path) -> Query:
    """Make a query of an existing file."""
    if not exists(path):
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
    """Say how to search with a file that the words happen to name, or how to take words away."""
    if exists(Path(written)) and Path(written).is_file():
        return f"searching for the words; '{written}' is also a file here: ./{written}"
    found = _TAKEN.search(written)
    if found is None:
        return ""
    return f"'{found[1]}' is searched for as it stands; to push it down write: - {found[1][1:]}"

"""Queries of strangers: words, and the names of photos that the library or the caller holds.

No path in such a query is read, nor is it looked whether there is a file. In place of a path a term
may be `item:ID`, a photo of the library, or `picture:KEY`, an open picture of the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from PIL import Image

from indexer.core.types import Kind, Record, readable
from indexer.library.library import Library
from retrieval.errors import ItemMissing, QueryInvalid
from retrieval.search.query import Query, Term, compose, parse_query

MOST_TERMS = 32
"""Terms of one query: each is embedded for itself."""

_NAMED = re.compile(r"(?:picture:(?P<picture>[\w-]{1,64})|item:(?P<item>\d{1,18}))")


PictureSource: TypeAlias = Callable[[str], Image.Image | None]
"""Gives an open picture by its key; None if there is none."""


@dataclass(frozen=True, kw_only=True)
class QueryTerm:
    """One term of a query: words, an item, or a picture; one of the three.

    Attributes:
        text: words; no path is read.
        item: the id of a photo of the library, or of a text.
        picture: the key of a picture.
        weight: relative to the other terms; below 0 to take it away.
    """

    text: str | None = None
    item: int | None = None
    picture: str | None = None
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class TermNames:
    """What the terms of a query may name.

    Attributes:
        library: whose items they name.
        picture: gives the caller's open pictures by their keys.
    """

    library: Library
    picture: PictureSource = lambda _: None

    def read(self, written: str) -> Query | None:
        """Return what a written term names; None for words.

        Raises:
            ItemMissing: there is no such item or picture.
        """
        found = _NAMED.fullmatch(written.strip())
        if found is None:
            return None
        if found["picture"]:
            return self.picture_query(found["picture"])
        return self.item_query(int(found["item"]))

    def item_query(self, id_: int) -> Query:
        """Return a photo of the library as a query; of a text its words."""
        record = record_of(self.library, id_)
        if record.kind == Kind.TEXT:
            return Query(kind=Kind.TEXT, text=record.text)
        return Query(kind=Kind.PHOTO, item=record.id)

    def picture_query(self, key: str) -> Query:
        """Return an open picture as a query."""
        photo = self.picture(key)
        if photo is None:
            raise ItemMissing(f"there is no picture '{key}', or no longer; send it again")
        return Query(kind=Kind.PHOTO, photo=photo, key=key)

    def term(self, term: QueryTerm) -> Term:
        """Return a term as queries have it."""
        asked = [each for each in (term.text, term.item, term.picture) if each is not None]
        if len(asked) != 1:
            raise QueryInvalid("a term has one of text, item and picture")
        if term.item is not None:
            return Term(query=self.item_query(term.item), weight=term.weight)
        if term.picture is not None:
            return Term(query=self.picture_query(term.picture), weight=term.weight)
        words = " ".join(readable(term.text or "").split())
        if not words:
            raise QueryInvalid("a term is empty; say what to look for")
        return Term(query=Query(kind=Kind.TEXT, text=words), weight=term.weight)


def record_of(library: Library, id_: int) -> Record:
    """Return an item of a library.

    Raises:
        ItemMissing: it has none of this id.
    """
    found = library.records([id_])
    if not found:
        raise ItemMissing(f"the library has no item {id_}, or no longer; search again")
    return found[0]


def strangers_query(names: TermNames, text: str | None, terms: Sequence[QueryTerm]) -> Query:
    """Make a query of written words and of terms; of neither, one that finds everything.

    Photos of the library that it asks for are not among its hits, nor are other frames of a video.

    Raises:
        QueryInvalid: it cannot be understood.
        ItemMissing: a term names what is not there.
    """
    written = parse_query(text, read_term=names.read) if text else Query(kind=Kind.TEXT)
    asked = [*_terms_of(written), *map(names.term, terms)]
    if len(asked) > MOST_TERMS:
        raise QueryInvalid(f"{len(asked):,} terms are too many; use at most {MOST_TERMS}")
    without = _asked_for(names.library, asked)
    if not terms:
        return replace(written, excluded=without)
    alone = len(asked) == 1 and asked[0].weight > 0
    text_of_all = " ".join(each.query.text for each in asked).strip()
    query = asked[0].query if alone else compose(asked, text=text_of_all)
    return replace(
        query,
        where=written.where,
        filters=written.filters,
        notes=written.notes,
        excluded=without,
    )


def _asked_for(library: Library, terms: Sequence[Term]) -> frozenset[int]:
    """Return the items of the files that added terms name."""
    named = [term.query.item for term in terms if term.weight > 0 and term.query.item is not None]
    return frozenset(id_ for item in named for id_, _ in library.view.of_one_file(item))


def _terms_of(query: Query) -> list[Term]:
    """Return the terms of a query, without its filters."""
    if query.terms:
        return list(query.terms)
    if query.is_filter:
        return []
    return [Term(query=replace(query, where=None, filters="", notes=()))]

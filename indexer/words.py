"""Words of items: what texts, captions, keywords, folders, file names and places say.

They lie in a full-text index of SQLite (FTS5), which ranks by BM25. Case, accents and English
endings make no difference to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Float,
    Label,
    Text,
    Update,
    bindparam,
    literal_column,
    select,
    update,
)

from indexer import tables
from indexer.types import Metadata

STOP_WORDS = frozenset(
    {"a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "he", "her", "his", "in", "is"}
    | {"it", "its", "my", "of", "on", "or", "our", "she", "that", "the", "their", "they", "this"}
    | {"to", "was", "we", "were", "who", "with", "you", "your"}
)
"""English words that stand in most captions and tell nothing."""

_MANY = 64  # words of a query that count
_WORD = re.compile(r"\w+")


def row(
    id_: int, passage: str, path: Path, roots: Sequence[Path], about: Metadata | None = None
) -> dict[str, Any]:
    """Return the words of an item, as a row of the index."""
    told = {"text": passage, "place": ""} if about is None else _told_words(about)
    return {"rowid": id_, **told, **_path_words(path, roots)}


def rename(connection: Connection, paths: Mapping[int, Path], roots: Sequence[Path]) -> None:
    """Put the words of files' new paths, by their ids, in the place of the old."""
    rows = [{"of": id_, **_path_words(path, roots)} for id_, path in paths.items()]
    if rows:
        new = {each: bindparam(each, type_=Text) for each in ("folders", "name")}
        connection.execute(_of(bindparam("of")).values(new), rows)


def tell(connection: Connection, file_id: int, about: Metadata) -> None:
    """Put the words of a photo's metadata in the place of what it said before."""
    connection.execute(_of(file_id).values(_told_words(about)))


def phrase(words: str, column: str) -> ColumnElement[bool]:
    """Match the items whose column holds these words side by side."""
    spoken = " ".join(_WORD.findall(words))
    return _matches(f'{column} : "{spoken}"')


def ranked(
    connection: Connection, query: str, among: ColumnElement[bool], limit: int
) -> list[tuple[int, float]]:
    """Return the ids and BM25 scores of items that share words with a query, best first.

    Args:
        connection: to the catalog.
        query: words; those that stand in most captions do not count.
        among: a condition on `items` joined with `files`.
        limit: how many at most.
    """
    asked = list(dict.fromkeys(_WORD.findall(query.casefold())))
    telling = [word for word in asked if word not in STOP_WORDS][:_MANY]
    if not telling:
        return []
    score: Label[float] = literal_column("-bm25(words)", Float).label("score")
    # "+ 0": else SQLite may ask the index of words anew for each item that there is.
    item = tables.words.c.rowid + 0 == tables.items.c.id
    found = (
        select(tables.words.c.rowid, score)
        .join(tables.items, item)
        .join(tables.files)
        .where(_matches(" OR ".join(f'"{word}"' for word in telling)), among)
        .order_by(score.desc(), tables.words.c.rowid)
        .limit(limit)
    )
    return [(each.rowid, each.score) for each in connection.execute(found)]


def _path_words(path: Path, roots: Sequence[Path]) -> dict[str, str]:
    """Return the names of a file's folders, from the indexed one on, and its own."""
    inside = [root for root in roots if path.is_relative_to(root) and root != path]
    root = max(inside, key=lambda each: len(each.parts), default=path.parent)
    folders = [root.name, *path.parent.relative_to(root).parts]
    return {"folders": _readable(" ".join(folders)), "name": _readable(path.stem)}


def _told_words(about: Metadata) -> dict[str, str]:
    """Return the words of a photo's metadata."""
    told = (about.title, about.caption, *about.keywords)
    return {"text": "\n".join(filter(None, told)), "place": about.place}


def _of(file_id: int | BindParameter[int]) -> Update:
    """Begin to change the words of a file's items."""
    items = select(tables.items.c.id).where(tables.items.c.file_id == file_id)
    return update(tables.words).where(tables.words.c.rowid.in_(items))


def _matches(expression: str) -> ColumnElement[bool]:
    """Compare with the expression of a full-text search."""
    return literal_column("words").op("MATCH", is_comparison=True)(expression)


def _readable(name: str) -> str:
    """Return a name as text; bytes that are not UTF-8 tell nothing. "_" parts words."""
    return os.fsencode(name).decode("utf-8", "replace").replace("_", " ")

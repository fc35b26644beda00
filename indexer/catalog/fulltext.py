"""The full-text index over texts, captions, keywords, folders, file names and places.

It is an FTS5 table of SQLite, ranked by BM25. Texts are stored as tokens with a space between them;
see `indexer.core.text_normalization`. Case, accents, letter width and English endings make no
difference.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Text,
    Update,
    bindparam,
    literal_column,
    select,
    update,
)

from indexer.catalog import schema
from indexer.catalog.snapshot import WORD, any_of
from indexer.core.errors import TwinlensError
from indexer.core.text_normalization import tokens
from indexer.core.types import Metadata, readable


def row(
    id_: int, passage: str, path: Path, roots: Sequence[Path], about: Metadata | None = None
) -> dict[str, Any]:
    """Return the words of an item, as a row of the index."""
    told = {"text": _token_text(passage), "place": ""} if about is None else _metadata_words(about)
    return {"rowid": id_, "seen": "", **told, **_path_words(path, roots)}


def rename(connection: Connection, paths: Mapping[int, Path], roots: Sequence[Path]) -> None:
    """Put the words of files' new paths, by their ids, in the place of the old."""
    rows = [{"of": id_, **_path_words(path, roots)} for id_, path in paths.items()]
    if rows:
        new = {each: bindparam(each, type_=Text) for each in ("folders", "name")}
        connection.execute(_of(bindparam("of")).values(new), rows)


def tell(connection: Connection, file_id: int, about: Metadata) -> None:
    """Replace the words of a photo's metadata."""
    connection.execute(_of(file_id).values(_metadata_words(about)))


def phrase(words: str, column: str) -> ColumnElement[bool]:
    """Match the items whose column holds these words side by side.

    Until the next run rewrites it, a library of an older format holds them as they are written.
    """
    return _matches(f"{column} : ({any_of([_token_text(words), ' '.join(WORD.findall(words))])})")


def faults(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield what is wrong with the full-text index.

    SQLite compares it with its words only where it may write. So a copy of the catalog is compared,
    in a folder for scratch.

    Raises:
        TwinlensError: there is no room for that.
    """
    with (
        _scratch() as folder,
        closing(sqlite3.connect(folder / "catalog.sqlite")) as copy,
    ):
        try:
            connection.backup(copy)
        except sqlite3.Error as error:
            raise _no_room(error) from error
        try:
            copy.execute("INSERT INTO words(words) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            yield f"the full-text index does not match the texts: {error}"


@contextmanager
def _scratch() -> Iterator[Path]:
    """Make a folder that is deleted in the end."""
    try:
        folder = TemporaryDirectory(prefix="twinlens-")
    except OSError as error:
        raise _no_room(error) from error
    with folder as name:
        yield Path(name)


def _no_room(error: Exception) -> TwinlensError:
    """Say what the copy needs."""
    return TwinlensError(
        f"cannot copy the catalog to '{gettempdir()}' to check its full-text index: {error}; "
        "set the environment variable TMPDIR to a folder with more room"
    )


def _path_words(path: Path, roots: Sequence[Path]) -> dict[str, str]:
    """Return the names of a file's folders, from the indexed one on, and its own."""
    inside = [root for root in roots if path.is_relative_to(root) and root != path]
    root = max(inside, key=lambda each: len(each.parts), default=path.parent)
    folders = [root.name, *path.parent.relative_to(root).parts]
    return {
        "folders": _token_text(readable(" ".join(folders))),
        "name": _token_text(readable(path.stem)),
    }


def _metadata_words(about: Metadata) -> dict[str, str]:
    """Return the words of a photo's metadata."""
    told = (about.title, about.caption, *about.keywords)
    return {"text": _token_text("\n".join(told)), "place": _token_text(about.place)}


def _of(file_id: int | BindParameter[int]) -> Update:
    """Begin to change the words of a file's items."""
    items = select(schema.items.c.id).where(schema.items.c.file_id == file_id)
    return update(schema.words).where(schema.words.c.rowid.in_(items))


def _matches(expression: str) -> ColumnElement[bool]:
    """Compare with the expression of a full-text search."""
    return literal_column("words").op("MATCH", is_comparison=True)(expression)


def _token_text(text: str) -> str:
    """Return a text as the index keeps it: tokens with a space between them."""
    return " ".join(tokens(text))

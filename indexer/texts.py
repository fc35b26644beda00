"""A file becomes passages of text, or a reason why not."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from indexer.errors import FileUnreadable
from indexer.regular import open_regular
from indexer.types import Skip

FIELDS = ("captions", "caption", "text", "title", "description")
"""Where a row of JSONL or CSV may hold its text; all that are present count, in this order."""

MAX_BYTES = 20_000_000
"""Some 200,000 captions; a larger file is a data set or a log, not something to look through."""

PASSAGE_WORDS = 50
"""What a text tower of 77 tokens reads to the end."""

MAX_SKIPS = 100
"""Bad rows listed for one file; the last line counts the others."""

_MARK = re.compile(r"^\s{0,3}(#{1,6}\s+|>\s?|[-*+]\s+)")


@dataclass(frozen=True, kw_only=True)
class Passages:
    """The passages of one file in their order, and the rows that gave none."""

    passages: tuple[str, ...]
    skipped: tuple[Skip, ...] = ()


def read_passages(path: Path, data: bytes | None = None, *, max_bytes: int = MAX_BYTES) -> Passages:
    """Read the passages of a .txt, .md, .jsonl or .csv file.

    Blank lines part a plain text into paragraphs; without any, each line is a passage, as in a
    list of captions. JSONL and CSV give one or more passages a row, from the `FIELDS`. A long
    passage becomes several of at most `PASSAGE_WORDS` words.

    Args:
        path: the file. Its suffix says the format.
        data: its bytes, where they are at hand; otherwise they are read.
        max_bytes: a larger file is refused.

    Raises:
        FileUnreadable: too large, not UTF-8, or without any text column.
    """
    text = _decode(_read(path, max_bytes) if data is None else data, max_bytes)
    rows = _READERS[path.suffix.lower()](text)
    passages: list[str] = []
    skipped: list[Skip] = []
    for row in rows:
        if isinstance(row, _BadRow):
            skipped.append(Skip(path=path, reason=f"line {row.line}: {row.reason}"))
        else:
            passages.extend(_windows(row))
    if not passages and not skipped:
        raise FileUnreadable("no text in it")
    return Passages(passages=tuple(passages), skipped=_shortened(path, skipped))


@dataclass(frozen=True, kw_only=True)
class _BadRow:
    """A row that gave no text. `line` counts from 1."""

    line: int
    reason: str


def _read(path: Path, max_bytes: int) -> bytes:
    """Read a file, but no more of it than tells that it is too large."""
    try:
        with open_regular(path) as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        raise FileUnreadable((error.strerror or str(error)).lower()) from error


def _decode(data: bytes, max_bytes: int) -> str:
    """Turn bytes into text; a byte order mark is dropped."""
    if not data:
        raise FileUnreadable("empty file")
    if len(data) > max_bytes:
        raise FileUnreadable(f"a text of more than {max_bytes / 1e6:g} MB")
    if b"\0" in data:
        raise FileUnreadable("not a text: it holds zero bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileUnreadable(f"not UTF-8 (byte {error.start})") from error


def _plain(text: str) -> Iterator[str | _BadRow]:
    """Yield paragraphs, or lines where nothing is blank between them."""
    lines = [line.strip() for line in text.strip().splitlines()]
    yield from _paragraphs(lines) if "" in lines else lines


def _markdown(text: str) -> Iterator[str | _BadRow]:
    """Yield paragraphs without the marks of headings, quotes and lists."""
    return _plain("\n".join(_MARK.sub("", line) for line in text.splitlines()))


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Join the lines between blank ones."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line:
            block.append(line)
        elif block:
            yield " ".join(block)
            block = []


def _jsonl(text: str) -> Iterator[str | _BadRow]:
    """Yield the texts of one JSON object a line."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield _BadRow(line=number, reason="not JSON")
            continue
        if isinstance(row, dict):
            yield from _fields(row, number)
        else:
            yield _BadRow(line=number, reason="not a JSON object")


def _csv(text: str) -> Iterator[str | _BadRow]:
    """Yield the texts of a table with a header line."""
    table = csv.reader(text.splitlines(keepends=True))
    try:
        header = [name.strip().lower() for name in next(table, [])]
        if not set(FIELDS) & set(header):
            raise FileUnreadable(f"no column is called any of: {', '.join(FIELDS)}")
        for cells in table:
            if len(cells) == len(header):
                yield from _fields(dict(zip(header, cells, strict=True)), table.line_num)
            elif cells:
                reason = f"{len(cells)} cells under {len(header)} columns"
                yield _BadRow(line=table.line_num, reason=reason)
    except csv.Error as error:
        yield _BadRow(line=table.line_num, reason=f"{error}; the rest is left out")


def _fields(row: dict[str, object], line: int) -> Iterator[str | _BadRow]:
    """Yield the texts of one row, or say that it has none."""
    values = [row[field] for field in FIELDS if field in row]
    flat = [text for value in values for text in (value if isinstance(value, list) else [value])]
    texts = [text for text in flat if isinstance(text, str) and text.strip()]
    if texts:
        yield from texts
    else:
        yield _BadRow(line=line, reason=f"no text under any of: {', '.join(FIELDS)}")


def _windows(text: str) -> Iterator[str]:
    """Cut a text into the fewest even runs of at most `PASSAGE_WORDS` words."""
    words = text.encode(errors="replace").decode().split()  # JSON can name half a surrogate pair
    count = math.ceil(len(words) / PASSAGE_WORDS)
    edges = [len(words) * number // count for number in range(count + 1)] if count else []
    for start, stop in pairwise(edges):
        yield " ".join(words[start:stop])


def _shortened(path: Path, skipped: list[Skip]) -> tuple[Skip, ...]:
    """Keep the first bad rows and count the others."""
    if len(skipped) <= MAX_SKIPS:
        return tuple(skipped)
    rest = Skip(path=path, reason=f"and {len(skipped) - MAX_SKIPS:,} more lines")
    return (*skipped[:MAX_SKIPS], rest)


_READERS: dict[str, Callable[[str], Iterator[str | _BadRow]]] = {
    ".txt": _plain,
    ".md": _markdown,
    ".jsonl": _jsonl,
    ".csv": _csv,
}

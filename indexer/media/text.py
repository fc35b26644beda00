"""Read a file as passages of text, or return a reason why that fails."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

from indexer.core.errors import FileUnreadable
from indexer.core.file_access import open_regular
from indexer.core.types import Skip
from indexer.media.text_lines import (
    TableRow,
    column_names,
    delimiter_of,
    encoding_of,
    line_end,
    named,
    rows,
    split_lines,
)

FIELDS = ("captions", "caption", "text", "title", "description")
"""Where a row of JSONL or CSV may hold its text; all that are present count, in this order."""

MAX_BYTES = 20_000_000
"""Some 200,000 captions; a larger file is a data set or a log, not something to look through."""

PASSAGE_WORDS = 50
"""What a text tower of 77 tokens reads to the end."""

MAX_SKIPS = 100
"""Bad rows listed for one file; the last line counts the others."""

MOST_APART = 10_000
"""Lines or rows of one file that are a passage each, however short; later short ones are joined."""

MOST_PASSAGES = 200_000
"""Of one file: what the largest list of captions has. The rest is left out, and counted."""

LONGEST_WORD = 100
"""Characters; a longer run without a space, of Chinese or of encoded data, is cut into such."""

_SHORT = 5  # words; what has fewer is hardly a caption, and is joined where there are too many

_BLANK = {"\n": re.compile(r"\n[^\S\n]*\n"), "\r": re.compile(r"\r[^\S\r]*\r")}
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
    passage becomes several of at most `PASSAGE_WORDS` words. Short lines and rows are joined
    where there are more than `MOST_APART`, and no file gives more than `MOST_PASSAGES`.

    Args:
        path: the file. Its suffix says the format.
        data: its bytes, where they are at hand; otherwise they are read.
        max_bytes: a larger file is refused.

    Raises:
        FileUnreadable: too large, not UTF-8, or without any text column.
    """
    text = _decode(_read(path, max_bytes) if data is None else data, max_bytes)
    taken = _Taken(path)
    for row in _READERS[path.suffix.lower()](text):
        taken.add(row)
    if not taken.passages and not taken.skipped:
        raise FileUnreadable("no text in it")
    return Passages(passages=tuple(taken.passages), skipped=taken.skipped)


class _Taken:
    """What was taken of a file so far.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = 0
        self._skips: list[Skip] = []
        self._bad = 0
        self._left_out = 0
        self._short: list[str] = []  # words that wait for more to make a passage with
        self._passages: list[str] = []

    def add(self, row: str | _BadRow) -> None:
        """Take one row, paragraph or line."""
        if isinstance(row, _BadRow):
            self._bad += 1
            if self._bad <= MAX_SKIPS:
                reason = f"line {row.line}: {row.reason}"
                self._skips.append(Skip(path=self._path, reason=reason))
            return
        self._rows += 1
        words = _words(row)
        if self._rows > MOST_APART and len(words) < _SHORT:
            self._short += words
            if len(self._short) >= PASSAGE_WORDS:
                self._join()
            return
        self._join()
        for passage in _windows(words):
            self._keep(passage)

    @property
    def passages(self) -> list[str]:
        """The passages, in their order."""
        self._join()
        return self._passages

    @property
    def skipped(self) -> tuple[Skip, ...]:
        """The first bad rows, and how much else was left out."""
        more = [f"and {self._bad - MAX_SKIPS:,} more lines"] if self._bad > MAX_SKIPS else []
        if self._left_out:
            more.append(
                f"{self._left_out:,} passages after the first {MOST_PASSAGES:,} are left out; "
                "split the file"
            )
        return (*self._skips, *(Skip(path=self._path, reason=reason) for reason in more))

    def _join(self) -> None:
        """Make a passage of the short rows that wait."""
        for passage in _windows(self._short):
            self._keep(passage)
        self._short = []

    def _keep(self, passage: str) -> None:
        """Keep a passage, or count it."""
        if len(self._passages) < MOST_PASSAGES:
            self._passages.append(passage)
        else:
            self._left_out += 1


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
    encoding = encoding_of(data)
    try:
        text = data.decode(encoding)
    except UnicodeError as error:
        place = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
        name = encoding.removesuffix("-sig").upper()
        raise FileUnreadable(f"not {name}{place}") from error
    if "\0" in text:
        raise FileUnreadable("not a text: it holds zero bytes")
    return text


def _plain(text: str) -> Iterator[str | _BadRow]:
    """Yield paragraphs, or lines where nothing is blank between them."""
    yield from _blocks(text, split_lines(text))


def _blocks(text: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield paragraphs of a text where there are blank lines, else its lines."""
    stripped = (line.strip() for line in lines)
    parted = _BLANK[line_end(text)].search(text.strip())
    yield from _paragraphs(stripped) if parted else filter(None, stripped)


def _markdown(text: str) -> Iterator[str | _BadRow]:
    """Yield paragraphs without the marks of headings, quotes and lists."""
    yield from _blocks(text, (_MARK.sub("", line) for line in split_lines(text)))


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Join the lines between blank ones."""
    block: list[str] = []
    for line in chain(lines, [""]):
        if line:
            block.append(line)
        elif block:
            yield " ".join(block)
            block = []


def _jsonl(text: str) -> Iterator[str | _BadRow]:
    """Yield the texts of one JSON object a line."""
    for number, line in enumerate(split_lines(text), start=1):
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
    lines = split_lines(text)
    first = next((line for line in lines if line.strip()), "")
    above = text[: text.find(first)].count("\n")
    table = rows(chain([first], lines), delimiter_of(first, frozenset(FIELDS)))
    header = column_names(next(table, TableRow(line=1)).cells)
    if not set(FIELDS) & set(header):
        raise FileUnreadable(f"no column is called any of: {', '.join(FIELDS)}")
    for each in table:
        row = named(each, header)
        if isinstance(row, str):
            yield _BadRow(line=above + each.line, reason=row)
        else:
            yield from _fields(row, above + each.line)


def _fields(row: dict[str, object], line: int) -> Iterator[str | _BadRow]:
    """Yield the texts of one row, or say that it has none."""
    values = [row[field] for field in FIELDS if field in row]
    flat = [text for value in values for text in (value if isinstance(value, list) else [value])]
    texts = [text for text in flat if isinstance(text, str) and text.strip()]
    if texts:
        yield from texts
    else:
        yield _BadRow(line=line, reason=f"no text under any of: {', '.join(FIELDS)}")


def _words(text: str) -> list[str]:
    """Return the words of a text, the longest ones cut."""
    words = text.encode(errors="replace").decode().split()  # JSON can name half a surrogate pair
    if all(len(word) <= LONGEST_WORD for word in words):
        return words
    return [
        word[at : at + LONGEST_WORD] for word in words for at in range(0, len(word), LONGEST_WORD)
    ]


def _windows(words: Sequence[str]) -> Iterator[str]:
    """Cut a text into the fewest even runs of at most `PASSAGE_WORDS` words."""
    count = math.ceil(len(words) / PASSAGE_WORDS)
    edges = [len(words) * number // count for number in range(count + 1)] if count else []
    for start, stop in pairwise(edges):
        yield " ".join(words[start:stop])


_READERS: dict[str, Callable[[str], Iterator[str | _BadRow]]] = {
    ".txt": _plain,
    ".md": _markdown,
    ".jsonl": _jsonl,
    ".csv": _csv,
}

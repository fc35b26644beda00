"""Split a text file into lines and a table into rows, as the programs that write them mean them.

A line ends at a line feed, or at a carriage return in a file without line feeds. No other character
ends a line: U+2028, U+0085 and form feeds occur within captions. A CSV quotes cells, a TSV does
not, so a caption in a TSV may begin with a quotation mark. A quotation mark that is never closed
spoils its own row, not the rows after it.
"""

from __future__ import annotations

import codecs
import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_START = 1 << 16  # bytes that tell how a file's lines end
_LONGEST_ROW = 200  # lines of one row, in quotes; a mark that is open for longer is a mistake
_DELIMITERS = ("\t", ",", ";")


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One row of a table: the number of its last line, and its cells; or why it has none."""

    line: int
    cells: tuple[str, ...] = ()
    reason: str = ""


def encoding_of(start: bytes) -> str:
    """Tell an encoding by the byte order mark that a text begins with; UTF-8 without one."""
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file without their ends; bytes that are no UTF-8 are escaped.

    Raises:
        OSError: it cannot be read.
        UnicodeError: it is no text in UTF-16 or UTF-32, which it says it is.
    """
    with path.open("rb") as file:
        start = file.read(_START)
    encoding = encoding_of(start)
    end = line_end(start.decode(encoding, "ignore"))
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    with path.open(encoding=encoding, errors=errors, newline=end) as opened:
        yield from (line.removesuffix(end).removesuffix("\r") for line in opened)


def decoded(data: bytes) -> str:
    """Turn bytes into text by their mark; those that are no character are escaped or replaced."""
    encoding = encoding_of(data)
    errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    return data.decode(encoding, errors)


def line_end(text: str) -> str:
    """Tell by what the lines of a text end; a carriage return may stand before a line feed."""
    return "\r" if "\n" not in text and "\r" in text else "\n"


def split_lines(text: str) -> Iterator[str]:
    """Yield the lines of a text without their ends, one by one."""
    end, start = line_end(text), 0
    while (stop := text.find(end, start)) >= 0:
        yield text[start:stop].removesuffix("\r")
        start = stop + 1
    yield text[start:].removesuffix("\r")


def delimiter_of(header: str, *wanted: Set[str]) -> str:
    """Return what parts the cells of a table: under it the header names a column of each kind.

    Where none does, it is what stands in the header, a comma if nothing does.
    """
    for delimiter in _DELIMITERS:
        names = set(column_names(next(rows([header], delimiter), TableRow(line=0)).cells))
        if all(names & kind for kind in wanted):
            return delimiter
    return next((each for each in _DELIMITERS if each in header), ",")


def column_names(cells: Iterable[str]) -> list[str]:
    """Return the names of columns as they are compared: in small letters, without spaces."""
    return [cell.strip().strip("\ufeff").strip().lower() for cell in cells]


def rows(lines: Iterable[str], delimiter: str) -> Iterator[TableRow]:
    """Yield the rows of a table, blank ones left out.

    Args:
        lines: without their ends.
        delimiter: between cells; a tab means that cells are not quoted.
    """
    if delimiter == "\t":
        yield from _unquoted(lines)
    else:
        yield from _quoted(lines, delimiter)


def named(row: TableRow, header: Sequence[str]) -> dict[str, object] | str:
    """Return the cells of a row by column, or why they cannot be told apart.

    A column that stands twice in the header gives a list.
    """
    if row.reason:
        return row.reason
    cells = row.cells
    if any(map(str.strip, cells[len(header) :])) or len(cells) < len(header):
        return f"{len(cells)} cells under {len(header)} columns"
    found: dict[str, object] = {}
    for name, cell in zip(header, cells, strict=False):
        before = found.get(name)
        if before is None:
            found[name] = cell
        else:
            found[name] = [*before, cell] if isinstance(before, list) else [before, cell]
    return found


def _unquoted(lines: Iterable[str]) -> Iterator[TableRow]:
    """Yield the rows of a TSV. A cell that is quoted as a whole loses its quotation marks."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield TableRow(line=number, cells=tuple(map(_bare, line.split("\t"))))


def _bare(cell: str) -> str:
    """Take the quotation marks off a cell that is quoted as a CSV's would be."""
    whole = cell.strip()
    inner = whole[1:-1]
    if f'"{inner}"' != whole or '"' in inner.replace('""', ""):
        return cell
    return inner.replace('""', '"')


def _quoted(lines: Iterable[str], delimiter: str) -> Iterator[TableRow]:
    """Yield the rows of a CSV. A row that fails costs its first line; reading goes on behind it."""
    source = _LineSource(lines)
    number = 0
    while (line := source.take()) is not None:
        taken = [line]
        row = _parsed(taken, delimiter)
        while row is None and len(taken) < _LONGEST_ROW and (line := source.take()) is not None:
            taken.append(line)
            row = _parsed(taken, delimiter)
        if row is None:
            row = TableRow(line=0, reason="a quotation mark is not closed")
        if row.reason:
            source.give_back(taken[1:])
        number += 1 if row.reason else len(taken)
        if row.reason or row.cells:
            yield replace(row, line=number)


class _LineSource:
    """Lines that can be taken, and given back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._waiting: deque[str] = deque()

    def take(self) -> str | None:
        """Return the next line; None at the end."""
        return self._waiting.popleft() if self._waiting else next(self._lines, None)

    def give_back(self, lines: Sequence[str]) -> None:
        """Let these lines come next."""
        self._waiting.extendleft(reversed(lines))


def _parsed(lines: Sequence[str], delimiter: str) -> TableRow | None:
    """Parse the lines of one row; None if its last cell goes on in the next line."""
    whole = [f"{line}\n".replace("\r", " ") for line in lines]
    try:
        cells = next(csv.reader(whole, delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        if "end of data" in str(error):
            return None
        return TableRow(line=0, reason=f"not a row ({error})")
    return TableRow(line=0, cells=tuple(cells))

"""What was found as one stream of bytes to save: a list, a table, lines of JSON, or a ZIP.

A ZIP is written as it is read, so it takes no memory and no disk. Files are only read. In a ZIP
they stand under names of their own, and `manifest.csv` says what each is, and which could not be
read.
"""

from __future__ import annotations

import csv
import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path

from indexer.core.errors import FileUnreadable
from indexer.core.file_access import NOT_REACHABLE, unreachable
from indexer.core.types import readable
from indexer.library.item_files import Original
from retrieval._enums import HIT_FIELDS
from retrieval.output_files import cell
from retrieval.search.export import COLUMNS, MANIFEST, manifest_row
from retrieval.search.results import Hit

_BLOCK = 1 << 18  # bytes of a file that are read at once
_PROBLEM = "problem"  # a column of the manifest of a ZIP
_FIRST_YEAR, _LAST_YEAR = 1980, 2107  # that a ZIP can hold

OpenOriginal = Callable[[int], Original]
"""Opens the file of an item by its id; raises FileUnreadable where it cannot be read."""


class DownloadFormat(StrEnum):
    """What is saved."""

    LIST = "list"
    CSV = "csv"
    JSON = "json"
    ZIP = "zip"


def download(
    pages: Iterable[Collection[Hit]], form: DownloadFormat, opened: OpenOriginal
) -> Iterator[bytes]:
    """Yield a download in pieces.

    Args:
        pages: hits, some at a time.
        form: what is saved.
        opened: opens the files for a ZIP.
    """
    if form == DownloadFormat.ZIP:
        yield from _zipped((hit for page in pages for hit in page), opened)
        return
    if form == DownloadFormat.LIST:
        yield from _listed(pages)
        return
    if form == DownloadFormat.CSV:
        yield _csv([HIT_FIELDS])
    lines = _json_lines if form == DownloadFormat.JSON else _table
    for page in pages:
        yield lines(page)


def json_line(hit: Hit, away: Collection[Path]) -> str:
    """Return a hit as one JSON object; that its file is reachable is left out."""
    told = hit.as_json()
    values = {name: told.pop(name) for name in HIT_FIELDS}
    reach = {"reachable": False} if hit.path in away else {}
    return json.dumps({**values, **reach, **told})


def _listed(pages: Iterable[Collection[Hit]]) -> Iterator[bytes]:
    """Yield the paths, each once and one a line, as the system knows them."""
    seen: set[Path] = set()
    for page in pages:
        new = [path for path in dict.fromkeys(hit.path for hit in page) if path not in seen]
        seen.update(new)
        yield b"".join(os.fsencode(path) + b"\n" for path in new)


def _json_lines(page: Collection[Hit]) -> bytes:
    """Return one JSON object a line."""
    away = unreachable(hit.path for hit in page)
    return "".join(f"{json_line(hit, away)}\n" for hit in page).encode()


def _table(page: Collection[Hit]) -> bytes:
    """Return one row of CSV a hit; what is not known stays empty."""
    return _csv(_cells(hit) for hit in page)


def _cells(hit: Hit) -> list[object]:
    """Return a hit as a row; no text in it is a formula."""
    told = hit.as_json()
    return [cell(v) if isinstance(v := told[name], str) else v for name in HIT_FIELDS]


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    """Write rows of CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return readable(text.getvalue()).encode()


def _zipped(hits: Iterable[Hit], opened: OpenOriginal) -> Iterator[bytes]:
    """Yield a ZIP of the files of hits, each once, in pieces."""
    sink, names = _Sink(), _Names()
    rows: list[tuple[object, ...]] = [(*COLUMNS, _PROBLEM)]
    done: dict[Path, tuple[str, str]] = {}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for hit in hits:
            if hit.path not in done:
                done[hit.path] = yield from _filed(archive, sink, hit, names, opened)
            name, problem = done[hit.path]
            rows.append((*manifest_row(hit, name), problem))
        manifest = zipfile.ZipInfo(MANIFEST, time.localtime()[:6])
        archive.writestr(manifest, _csv(rows), zipfile.ZIP_DEFLATED)
        yield sink.taken()
    yield sink.taken()


def _filed(
    archive: zipfile.ZipFile, sink: _Sink, hit: Hit, names: _Names, opened: OpenOriginal
) -> Generator[bytes, None, tuple[str, str]]:
    """Yield the bytes of one file of a ZIP; return its name there, and what is wrong with it."""
    try:
        original = opened(hit.id)
    except FileUnreadable as error:
        return "", str(error) or NOT_REACHABLE
    name = names.free(readable(hit.path.name))
    info = zipfile.ZipInfo(name, _dated(original.mtime))
    info.file_size = original.size  # tells whether it needs the format for large files
    with original.file, archive.open(info, "w") as member:
        left = original.size
        try:
            for block in iter(partial(original.file.read, _BLOCK), b""):
                member.write(block[:left])
                left -= len(block)
                yield sink.taken()
                if left <= 0:
                    break
        except OSError as error:
            return name, f"only a part: {(error.strerror or str(error)).lower()}"
    yield sink.taken()
    return name, "" if left <= 0 else "only a part: it was cut meanwhile"


def _dated(mtime: float) -> tuple[int, int, int, int, int, int]:
    """Return a time as a ZIP can hold it."""
    try:
        year, month, day, hour, minute, second = time.localtime(mtime)[:6]
    except (OverflowError, ValueError, OSError):
        year = 0
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return _FIRST_YEAR, 1, 1, 0, 0, 0
    return year, month, day, hour, minute, second


class _Names:
    """Gives each file of a ZIP a name of its own: NAME, NAME-2, NAME-3, in any case of letters."""

    def __init__(self) -> None:
        self._taken = {MANIFEST: 1}

    def free(self, name: str) -> str:
        """Return a name that no other file has."""
        path, number = Path(name), self._taken.get(name.casefold(), 0) + 1
        chosen = name if number == 1 else f"{path.stem}-{number}{path.suffix}"
        self._taken[name.casefold()] = number
        if number > 1 and chosen.casefold() in self._taken:
            return self.free(name)
        self._taken.setdefault(chosen.casefold(), 1)
        return chosen


class _Sink(io.RawIOBase):
    """Takes what is written until somebody takes it; nobody can go back in it."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def write(self, data: object, /) -> int:
        """Keep some bytes."""
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken

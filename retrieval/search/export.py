"""What a search found, copied, linked or listed in a folder."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from indexer.core.errors import FileUnreadable, TwinlensError
from indexer.core.file_access import open_regular
from retrieval.output_files import cell, free_names, place
from retrieval.search.results import Hit

MANIFEST = "manifest.csv"
COLUMNS = ("rank", "score", "match", "file", "path", "text", "time")

_BLOCK = 1 << 20  # bytes of a file that are copied at once


class ExportMode(StrEnum):
    """How a file comes into the folder."""

    COPY = "copy"
    LINK = "link"
    LIST = "list"


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What an export wrote.

    Attributes:
        files: the name in the folder of each file that came, by its path; empty for a listed one.
        missing: files that are gone or cannot be read.
        manifest: the file that says what each is.
    """

    files: dict[Path, str]
    missing: list[Path]
    manifest: Path


def export_hits(
    hits: Sequence[Hit],
    folder: Path,
    mode: ExportMode = ExportMode.COPY,
    note: Callable[[str], None] = lambda _: None,
) -> ExportReport:
    """Copy, link or list the files of hits in a folder, and write a manifest beside them.

    Nothing in the folder is overwritten: a name that is taken gets a number.

    Args:
        hits: what a search found; a file with several hits comes once.
        folder: where to; it is made if it is not there.
        mode: how a file comes.
        note: receives a line that says what is there of an export that cannot go on.

    Raises:
        TwinlensError: the folder cannot be written to, or the disk is full.
    """
    _make(folder)
    named, missing = _place(hits, folder, mode, note)
    return ExportReport(files=named, missing=missing, manifest=_write_manifest(hits, named, folder))


def _make(folder: Path) -> None:
    """Make the folder, if it is not there.

    Raises:
        TwinlensError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TwinlensError(f"cannot make '{folder}': {error.strerror or error}") from error


def _place(
    hits: Sequence[Hit], folder: Path, way: ExportMode, note: Callable[[str], None]
) -> tuple[dict[Path, str], list[Path]]:
    """Bring each file in once; return the names of those that came, and what did not."""
    named: dict[Path, str] = {}
    missing: list[Path] = []
    for path in dict.fromkeys(hit.path for hit in hits):
        if not path.is_file() or not os.access(path, os.R_OK):
            missing.append(path)
            continue
        try:
            named[path] = _WAYS[way](path, folder)
        except FileUnreadable:
            missing.append(path)
        except TwinlensError:
            if named:
                note(_before(len(named)))
            raise
    return named, missing


def _before(count: int) -> str:
    """Say what there is of an export that cannot go on."""
    return f"{count:,} {'file was' if count == 1 else 'files were'} written completely before"


def _copied(source: Path, folder: Path) -> str:
    """Copy a file with its date and rights; return its name.

    Raises:
        FileUnreadable: the source cannot be read, or not to its end.
        TwinlensError: the copy cannot be written.
    """
    return place(folder, source.name, partial(_copy, source)).name


def _copy(source: Path, target: Path) -> None:
    """Copy content, date and rights; tell a source that cannot be read from a full disk."""
    with target.open("wb") as new:
        for block in _blocks(source):
            new.write(block)
    with suppress(OSError):  # a file system without rights or dates takes the content all the same
        shutil.copystat(source, target)


def _blocks(source: Path) -> Iterator[bytes]:
    """Read a file in pieces."""
    try:
        with open_regular(source) as old:
            yield from iter(partial(old.read, _BLOCK), b"")
    except OSError as error:
        raise FileUnreadable((error.strerror or str(error)).lower()) from error


def _linked(source: Path, folder: Path) -> str:
    """Link a file under the first free name; return it.

    Raises:
        TwinlensError: the folder cannot be written to, or has no links.
    """
    for target in free_names(folder, source.name):
        try:
            target.symlink_to(source.absolute())
        except FileExistsError:
            continue
        except OSError as error:
            raise TwinlensError(f"cannot write '{target}': {error.strerror or error}") from error
        return target.name
    raise AssertionError("names do not end")  # pragma: no cover


def _listed(_source: Path, _folder: Path) -> str:
    """Leave a file where it is."""
    return ""


_WAYS = {ExportMode.COPY: _copied, ExportMode.LINK: _linked, ExportMode.LIST: _listed}


def _write_manifest(hits: Sequence[Hit], named: dict[Path, str], folder: Path) -> Path:
    """Write what each file is; an older manifest keeps its name."""

    def fill(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            rows.writerows(manifest_row(hit, named[hit.path]) for hit in hits if hit.path in named)

    return place(folder, MANIFEST, fill)


def manifest_row(hit: Hit, name: str) -> tuple[object, ...]:
    """Return what the manifest says of a hit, in the order of `COLUMNS`."""
    match = "" if hit.match is None else round(hit.match, 4)
    time = "" if hit.time is None else hit.time
    score = round(hit.score, 6)
    return hit.rank, score, match, cell(name), cell(str(hit.path)), cell(hit.text), time

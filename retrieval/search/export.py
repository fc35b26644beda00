"""Copy, link or list the files of hits in a folder, with a manifest."""

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
    """What is done with each file."""

    COPY = "copy"
    LINK = "link"
    LIST = "list"


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What an export wrote.

    Attributes:
        files: name in the folder of each file that was exported, by its path; "" if only listed.
        missing: files that do not exist or cannot be read.
        manifest: path of the table that describes each hit.
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

    Nothing in the folder is overwritten: if a name is taken, the new file gets a number.

    Args:
        hits: of a search; a file with several hits is exported once.
        folder: is created if it does not exist.
        mode: what is done with each file.
        note: receives a line if the export fails, on how many files were written before.

    Raises:
        TwinlensError: the folder cannot be written to, or the disk is full.
    """
    _make(folder)
    exported, missing = _place(hits, folder, mode, note)
    return ExportReport(
        files=exported, missing=missing, manifest=_write_manifest(hits, exported, folder)
    )


def _make(folder: Path) -> None:
    """Create the folder, unless it exists.

    Raises:
        TwinlensError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TwinlensError(f"cannot make '{folder}': {error.strerror or error}") from error


def _place(
    hits: Sequence[Hit], folder: Path, mode: ExportMode, note: Callable[[str], None]
) -> tuple[dict[Path, str], list[Path]]:
    """Export each file once; return the new names by path, and the files that are missing."""
    exported: dict[Path, str] = {}
    missing: list[Path] = []
    for path in dict.fromkeys(hit.path for hit in hits):
        if not path.is_file() or not os.access(path, os.R_OK):
            missing.append(path)
            continue
        try:
            exported[path] = _EXPORTERS[mode](path, folder)
        except FileUnreadable:
            missing.append(path)
        except TwinlensError:
            if exported:
                note(_written_before(len(exported)))
            raise
    return exported, missing


def _written_before(count: int) -> str:
    """Say how many files were written before an export failed."""
    return f"{count:,} {'file was' if count == 1 else 'files were'} written completely before"


def _copied(source: Path, folder: Path) -> str:
    """Copy a file with its date and permissions; return its new name.

    Raises:
        FileUnreadable: the source cannot be read to its end.
        TwinlensError: the copy cannot be written.
    """
    return place(folder, source.name, partial(_copy, source)).name


def _copy(source: Path, target: Path) -> None:
    """Copy content, date and permissions; an unreadable source raises another error."""
    with target.open("wb") as new:
        for block in _blocks(source):
            new.write(block)
    with suppress(OSError):  # a file system without permissions or dates still takes the content
        shutil.copystat(source, target)


def _blocks(source: Path) -> Iterator[bytes]:
    """Yield the content of a file in blocks."""
    try:
        with open_regular(source) as old:
            yield from iter(partial(old.read, _BLOCK), b"")
    except OSError as error:
        raise FileUnreadable((error.strerror or str(error)).lower()) from error


def _linked(source: Path, folder: Path) -> str:
    """Link a file under the first free name; return it.

    Raises:
        TwinlensError: the folder cannot be written to, or its file system has no links.
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
    """Leave a file where it is; it has no new name."""
    return ""


_EXPORTERS = {ExportMode.COPY: _copied, ExportMode.LINK: _linked, ExportMode.LIST: _listed}


def _write_manifest(hits: Sequence[Hit], exported: dict[Path, str], folder: Path) -> Path:
    """Write the manifest; if there is an older one, the new one gets a number."""

    def fill(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            rows.writerows(
                manifest_row(hit, exported[hit.path]) for hit in hits if hit.path in exported
            )

    return place(folder, MANIFEST, fill)


def manifest_row(hit: Hit, name: str) -> tuple[object, ...]:
    """Return the row of a hit in the manifest, in the order of `COLUMNS`."""
    match = "" if hit.match is None else round(hit.match, 4)
    time = "" if hit.time is None else hit.time
    score = round(hit.score, 6)
    return hit.rank, score, match, cell(name), cell(str(hit.path)), cell(hit.text), time

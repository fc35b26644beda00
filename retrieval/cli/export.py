"""`twinlens export`: what a search found, copied, linked or listed in a folder."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from indexer.errors import TwinlensError
from retrieval.cli.codes import ExitCode
from retrieval.cli.console import counted, note
from retrieval.cli.options import example, with_one_of
from retrieval.cli.question import Asking, Question, with_question

if TYPE_CHECKING:
    from retrieval import Hit

MANIFEST = "manifest.csv"
COLUMNS = ("rank", "score", "match", "file", "path", "text", "time")


class Way(StrEnum):
    """How a file comes into the folder."""

    COPY = "copy"
    LINK = "link"
    LIST = "list"


@click.command(
    cls=Asking,
    epilog=example(
        'twinlens export "a dog on a beach" --to dogs --top 50',
        'twinlens export "a dog" - "snow" --to dogs --link',
    ),
)
@with_question
@click.option(
    "--to",
    "folder",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to fill; it is made if it is not there.",
)
@with_one_of(
    "way",
    (
        (("--copy",), "copy", "Copy the files [default]."),
        (("--link",), "link", "Make symbolic links to the files."),
        (("--list",), "list", "Write the manifest alone."),
    ),
)
def command(question: Question, folder: Path, way: str | None) -> int:
    """Copy, link or list what a search finds.

    DIR gets the files and manifest.csv, which says what each is, where it came from and how well
    it matched. Nothing in DIR is overwritten: a name that is taken gets a number.
    """
    hits = question.answers()
    if not hits:
        return ExitCode.NOTHING
    folder.mkdir(parents=True, exist_ok=True)
    named, missing = _place(hits, folder, Way(way or "copy"))
    manifest = _write_manifest(hits, named, folder)
    note(f"{counted(len(named), 'file')}, told in {manifest}")
    for path in missing:
        note(f"skipping {path}: it is gone or cannot be read")
    return ExitCode.SKIPPED if missing else ExitCode.DONE


def _place(hits: Sequence[Hit], folder: Path, way: Way) -> tuple[dict[Path, str], list[Path]]:
    """Bring each file in once; return the names of those that came, and what did not."""
    named: dict[Path, str] = {}
    missing: list[Path] = []
    for path in dict.fromkeys(hit.path for hit in hits):
        if not os.access(path, os.R_OK):
            missing.append(path)
        elif way == Way.LIST:
            named[path] = ""
        else:
            named[path] = _free(folder, path.name, _WAYS[way](path)).name
    return named, missing


def _copied(source: Path) -> Callable[[Path], None]:
    """Return what copies a file to a path where nothing is."""

    def make(target: Path) -> None:
        with target.open("xb"):  # takes the name, or finds it taken
            shutil.copy2(source, target)

    return make


def _linked(source: Path) -> Callable[[Path], None]:
    """Return what links a file at a path where nothing is."""
    return lambda target: target.symlink_to(source.absolute())


_WAYS = {Way.COPY: _copied, Way.LINK: _linked}


def _free(folder: Path, name: str, make: Callable[[Path], None]) -> Path:
    """Make a file under the first free of NAME, NAME-2, NAME-3 and so on.

    Raises:
        TwinlensError: the folder cannot be written to.
    """
    stem, suffix = Path(name).stem, Path(name).suffix
    numbers = count(2)
    target = folder / name
    while True:
        try:
            make(target)
        except FileExistsError:
            target = folder / f"{stem}-{next(numbers)}{suffix}"
        except OSError as error:
            raise TwinlensError(f"cannot write '{target}': {error.strerror or error}") from error
        else:
            return target


def _write_manifest(hits: Sequence[Hit], named: dict[Path, str], folder: Path) -> Path:
    """Write what each file is; an older manifest keeps its name."""

    def make(target: Path) -> None:
        with target.open("x", newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for hit in hits:
                if hit.path in named:
                    match = "" if hit.match is None else round(hit.match, 4)
                    score = round(hit.score, 6)
                    found = (hit.rank, score, match, named[hit.path], hit.path)
                    rows.writerow((*found, hit.text, "" if hit.time is None else hit.time))

    return _free(folder, MANIFEST, make)

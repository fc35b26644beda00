"""`twinlens demo`: run each kind of search on sample photos.

scikit-image and scikit-learn contain the photos; `data/demo/photos.jsonl` lists them with source
and licence. Nothing is copied or downloaded.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

import retrieval
from indexer.core.errors import UsageError
from indexer.core.types import Kind
from retrieval._resources import resource
from retrieval.cli.console import list_skipped
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_model
from retrieval.cli.output import Layout, write_hits
from retrieval.cli.progress import progress
from retrieval.runtime.model_choice import ModelChoice

if TYPE_CHECKING:
    from retrieval import Encoder, IndexReport, Library, Searcher, SheetRow

WORDS = ("a cat", "a cup of coffee", "a motorcycle")
LIKE_THIS = "motorcycle_right.png"  # left out of the library, which holds its stereo twin
WHAT_IS_THIS = "coffee.png"
TOP = 5

WISH = ("a vehicle", "no motorcycles")
"""A query and an instruction: the motorcycle leaves, and the rocket comes first."""


@dataclass(frozen=True, kw_only=True)
class _Question:
    """One query of the tour."""

    asked: str | Path
    kind: Kind
    instruct: str = ""

    def __str__(self) -> str:
        shown = self.asked.name if isinstance(self.asked, Path) else f'"{self.asked}"'
        wish = f", {self.instruct}" if self.instruct else ""
        return f"{shown}{wish} → {self.kind}s"


@click.command(epilog=example("twinlens demo --out tour"))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the library and the contact sheet [default: a new temporary folder].",
)
@with_model("builtin")
def command(out: Path | None, model: ModelChoice) -> int:
    """Try each kind of search on sample photos.

    It indexes about twenty photos and forty texts. Then it searches for photos by words, by
    words with an instruction and by a photo, and for texts by a photo. The photos come with
    scikit-image and scikit-learn; pip install 'twinlens[demo]' installs both.
    """
    photos = _photos()
    folder = out or Path(tempfile.mkdtemp(prefix="twinlens-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    encoder = model.quick()
    with retrieval.Library.open_or_create(folder / "library", encoder) as library:
        done = _index(library, encoder, photos)
        plain, instructed = retrieval.Searcher(library, encoder), _instructed(library, model)
        questions = _questions(photos, instructed=instructed is not None)
        rows = [_answer(instructed if q.instruct else plain, q) for q in questions]
        held = library.counts()
    sheet = (folder / "contact-sheet.html").resolve()
    summary = f"{held[Kind.PHOTO]} photos and {held[Kind.TEXT]} texts, model {encoder.name}"
    retrieval.write_contact_sheet(rows, sheet, title="twinlens demo", note=summary)
    click.echo(f"The same with pictures: {sheet}")
    return ExitCode.SKIPPED if done.skipped else ExitCode.DONE


def _instructed(library: Library, model: ModelChoice) -> Searcher | None:
    """Return what searches under an instruction; None where no reranker ships for the model."""
    towers = model.load()
    reranker = retrieval.default_reranker(towers, instructed=True)
    return retrieval.Searcher(library, towers, reranker) if reranker else None


def _photos() -> dict[str, Path]:
    """Find the photos of the list, by file name.

    Raises:
        UsageError: the packages that carry them are not installed.
    """
    listed = (resource("demo") / "photos.jsonl").read_text(encoding="utf-8").splitlines()
    paths = [_installed(json.loads(line)["file"]) for line in listed]
    photos = {path.name: path for path in paths if path is not None and path.is_file()}
    missing = {LIKE_THIS, WHAT_IS_THIS} - photos.keys()
    if missing:
        raise UsageError(
            "the demo shows photos that scikit-image and scikit-learn carry, and they are not "
            "all here; install them with: pip install 'twinlens[demo]'"
        )
    return photos


def _installed(file: str) -> Path | None:
    """Return where a file of a package would be, without importing the package."""
    package, _, inside = file.partition("/")
    spec = find_spec(package)
    return Path(spec.origin).parent / inside if spec is not None and spec.origin else None


def _index(library: Library, encoder: Encoder, photos: Mapping[str, Path]) -> IndexReport:
    """Index the photos, all but the one to be asked with, and our texts."""
    files = [path.resolve() for name, path in photos.items() if name != LIKE_THIS]
    files.append(resource("demo") / "texts.txt")
    with progress("indexing") as report:
        done = retrieval.index_folders(
            library,
            encoder,
            files,
            progress=lambda step: report(step.files, len(files), step.photos),
        )
    list_skipped(done.skipped)
    return done


def _questions(photos: Mapping[str, Path], *, instructed: bool) -> list[_Question]:
    """Return the tour: words to photos, photo to photos, photo to texts.

    A model for which no reranker ships is not instructed.
    """
    words, wish = WISH
    return [
        *(_Question(asked=words, kind=Kind.PHOTO) for words in WORDS),
        *[_Question(asked=words, kind=Kind.PHOTO, instruct=wish)] * instructed,
        _Question(asked=photos[LIKE_THIS], kind=Kind.PHOTO),
        _Question(asked=photos[WHAT_IS_THIS], kind=Kind.TEXT),
    ]


def _answer(searcher: Searcher | None, question: _Question) -> SheetRow:
    """Search, print a table, and keep the answers for the contact sheet."""
    assert searcher is not None
    hits = searcher.search(question.asked, kind=question.kind, top=TOP, instruct=question.instruct)
    click.echo(f"{question}\n")
    write_hits(hits, Layout.TABLE)
    click.echo()
    if isinstance(question.asked, Path):
        return retrieval.SheetRow(answers=hits, photo=question.asked)
    return retrieval.SheetRow(answers=hits, words=question.asked, aside=question.instruct)

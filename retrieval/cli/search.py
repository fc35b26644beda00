"""`twinlens search`: words or a photo find photos or texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import retrieval
from indexer.types import Kind
from retrieval.choices import ENSEMBLE
from retrieval.cli.codes import ExitCode
from retrieval.cli.console import note
from retrieval.cli.hits import Output, with_output, write_hits
from retrieval.cli.options import ModelChoice, example, with_hubness, with_library, with_model

if TYPE_CHECKING:
    from retrieval import Hit, Query

F = TypeVar("F", bound=Callable[..., Any])

KINDS = {"photos": Kind.PHOTO, "texts": Kind.TEXT}


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How answers are scored: with the correction for hubs, names asked for by sentences."""

    hubness: bool
    ensemble: bool


def with_scoring(function: F) -> Callable[..., Any]:
    """Add `--hubness` and `--ensemble`; the command takes `scoring: Scoring`."""

    @with_hubness
    @click.option(
        "--ensemble/--no-ensemble",
        default=ENSEMBLE,
        show_default=True,
        help="Ask for photos of a bare name by several sentences about it.",
    )
    @wraps(function)
    def wrapped(*, hubness: bool, ensemble: bool, **others: Any) -> Any:
        return function(scoring=Scoring(hubness=hubness, ensemble=ensemble), **others)

    return wrapped


@click.command(
    epilog=example(
        'twinlens search "a cat on a sofa" --top 5',
        'twinlens search "beach" + "sunset" - "people"',
        "twinlens search ./cat.jpg --for texts --html found.html",
    )
)
@click.argument("query", nargs=-1, required=True, metavar="QUERY...")
@with_library
@click.option(
    "-t",
    "--top",
    metavar="N",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many to find.",
)
@click.option(
    "--for",
    "kind",
    type=click.Choice(list(KINDS)),
    default="photos",
    show_default=True,
    callback=lambda _ctx, _param, value: KINDS[value],
    help="What to find.",
)
@with_scoring
@with_output
@with_model("the library's own")
def command(  # noqa: PLR0913 - one a group of options
    query: tuple[str, ...],
    library: Path,
    top: int,
    kind: Kind,
    scoring: Scoring,
    output: Output,
    model: ModelChoice,
) -> int:
    """Find photos or texts by words or photo.

    QUERY is words; or a file, photo or text, if it begins with ./ ../ ~/ / or file://
    Several are joined by + and -, with a space on each side; 2:dogs counts twice.
    """
    asked = retrieval.parse_query(*query)
    note(asked.hint)
    with retrieval.Library.open(library) as opened:
        if not opened.counts()[kind]:
            note(f"the library has no {kind}s; add some with: twinlens index FOLDER")
            return ExitCode.NOTHING
        searcher = retrieval.Searcher(opened, model.load(opened.model))
        note(searcher.hint(asked))
        hits = searcher.search(
            asked, kind=kind, top=top, hubness=scoring.hubness, ensemble=scoring.ensemble
        )
    if output.html is not None:
        _write_sheet(asked, hits, output.html)
    write_hits(hits, output.layout)
    return ExitCode.DONE if hits else ExitCode.NOTHING


def _write_sheet(asked: Query, hits: list[Hit], path: Path) -> None:
    """Write the contact sheet and say where it is."""
    photo = asked.path if asked.kind == Kind.PHOTO else None
    row = retrieval.Row(answers=hits, words=asked.text, photo=photo)
    retrieval.contact_sheet([row], path, title="twinlens")
    note(f"contact sheet: {path}")

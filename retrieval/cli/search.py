"""`twinlens search`: words or a photo find photos or texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import retrieval
from indexer.types import Kind
from retrieval.cli.codes import ExitCode
from retrieval.cli.console import note
from retrieval.cli.hits import Output, with_output, write_hits
from retrieval.cli.options import ModelChoice, example, with_library, with_model

if TYPE_CHECKING:
    from retrieval import Hit, Query

KINDS = {"photos": Kind.PHOTO, "texts": Kind.TEXT}


@click.command(
    epilog=example(
        'twinlens search "a cat on a sofa" --top 5',
        "twinlens search ./cat.jpg --for texts --html found.html",
    )
)
@click.argument("query")
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
@with_output
@with_model("the library's own")
def command(
    query: str, library: Path, top: int, kind: Kind, output: Output, model: ModelChoice
) -> int:
    """Find photos or texts by words or photo.

    QUERY is words; or a file, photo or text, if it begins with ./ ../ ~/ / or file://
    """
    asked = retrieval.parse_query(query)
    note(asked.hint)
    with retrieval.Library.open(library) as opened:
        if not opened.counts()[kind]:
            note(f"the library has no {kind}s; add some with: twinlens index FOLDER")
            return ExitCode.NOTHING
        searcher = retrieval.Searcher(opened, model.load(opened.model))
        hits = searcher.search(asked, kind=kind, top=top)
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

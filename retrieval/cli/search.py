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
from retrieval.choices import ENSEMBLE, Sort
from retrieval.cli.codes import ExitCode
from retrieval.cli.console import note
from retrieval.cli.filters import Filters, with_filters
from retrieval.cli.hits import Output, with_output, write_hits
from retrieval.cli.options import (
    ModelChoice,
    Reranking,
    example,
    with_hubness,
    with_library,
    with_model,
    with_reranking,
)

if TYPE_CHECKING:
    from retrieval import Hit, Query

F = TypeVar("F", bound=Callable[..., Any])

KINDS = {"photos": Kind.PHOTO, "texts": Kind.TEXT}


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How answers are scored: hubs held back, names asked for by sentences, words looked up."""

    hubness: bool
    ensemble: bool
    words: bool


@dataclass(frozen=True, kw_only=True)
class Page:
    """Which hits are shown: `top` of them (0 for all) after the first `offset`, in an order."""

    top: int
    offset: int
    sort: Sort


def with_scoring(function: F) -> Callable[..., Any]:
    """Add `--hubness`, `--ensemble` and `--words`; the command takes `scoring: Scoring`."""

    @with_hubness
    @click.option(
        "--ensemble/--no-ensemble",
        default=ENSEMBLE,
        show_default=True,
        help="Ask for photos of a bare name by several sentences about it.",
    )
    @click.option(
        "--words/--no-words",
        default=True,
        show_default=True,
        help="Put forward whose captions, keywords, file, folder or place names share words.",
    )
    @wraps(function)
    def wrapped(*, hubness: bool, ensemble: bool, words: bool, **others: Any) -> Any:
        scoring = Scoring(hubness=hubness, ensemble=ensemble, words=words)
        return function(scoring=scoring, **others)

    return wrapped


def with_page(function: F) -> Callable[..., Any]:
    """Add `--top`, `--page`, `--offset` and `--sort`; the command takes `page: Page`."""

    @click.option(
        "-t",
        "--top",
        metavar="N",
        type=click.IntRange(min=0),
        default=10,
        show_default=True,
        help="How many to find; 0 for all.",
    )
    @click.option(
        "--page",
        "number",
        metavar="N",
        type=click.IntRange(min=1),
        default=1,
        help="Show the N-th so many, from 1.",
    )
    @click.option(
        "--offset",
        metavar="N",
        type=click.IntRange(min=0),
        default=0,
        help="Pass over the N best.",
    )
    @click.option(
        "--sort",
        type=click.Choice([each.value for each in Sort]),
        default=Sort.SCORE.value,
        show_default=True,
        callback=lambda _ctx, _param, value: Sort(value),
        help="The order in which they are shown.",
    )
    @wraps(function)
    def wrapped(*, top: int, number: int, offset: int, sort: Sort, **others: Any) -> Any:
        page = Page(top=top, offset=offset + (number - 1) * top, sort=sort)
        return function(page=page, **others)

    return wrapped


@click.command(
    epilog=example(
        'twinlens search "a cat on a sofa" --top 5',
        'twinlens search "two dogs" --instruct "no people"',
        'twinlens search "beach after:2019 near:Rome" --sort date',
        "twinlens search ./cat.jpg --for texts --html found.html",
    )
)
@click.argument("query", default="")
@with_library
@with_page
@with_filters
@click.option(
    "--for",
    "kind",
    type=click.Choice(list(KINDS)),
    default="photos",
    show_default=True,
    callback=lambda _ctx, _param, value: KINDS[value],
    help="What to find.",
)
@with_reranking(instruct=True)
@with_scoring
@with_output
@with_model("the library's own")
def command(  # noqa: PLR0913 - one a group of options
    query: str,
    library: Path,
    page: Page,
    filters: Filters,
    kind: Kind,
    reranking: Reranking,
    scoring: Scoring,
    output: Output,
    model: ModelChoice,
) -> int:
    """Find photos or texts by words or photo.

    QUERY is words; or a file, photo or text, if it begins with ./ ../ ~/ / or file://

    Filters may stand among the words: "beach after:2019 -tag:work". Without words, all that the
    filters let through is found, newest first.
    """
    asked = retrieval.parse_query(query, filters=filters)
    note(asked.hint)
    with retrieval.Library.open(library) as opened:
        if not opened.counts()[kind]:
            note(f"the library has no {kind}s; add some with: twinlens index FOLDER")
            return ExitCode.NOTHING
        encoder = model.load(opened.model)
        searcher = retrieval.Searcher(opened, encoder, reranking.load(encoder), note)
        note(searcher.hint(asked))
        hits = searcher.search(
            asked,
            kind=kind,
            top=page.top,
            offset=page.offset,
            sort=page.sort,
            hubness=scoring.hubness,
            ensemble=scoring.ensemble,
            words=scoring.words,
            instruct=reranking.instruct,
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

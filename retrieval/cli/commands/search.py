"""`twinlens search`: find photos or texts by words or by a photo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

import click

import retrieval
from indexer.core.types import Kind
from retrieval.cli.console import counted, note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example
from retrieval.cli.output import (
    Layout,
    Output,
    check_previews,
    with_output,
    write_hits,
)
from retrieval.cli.search_options import QueryCommand, Question, with_question
from retrieval.search.results import percent

if TYPE_CHECKING:
    from retrieval import Hit, Query, SearchResults
    from retrieval.search import SearchRequest

_TITLE = 80  # characters of a query in the title of a page


@click.command(
    cls=QueryCommand,
    epilog=example(
        'twinlens search "a cat on a sofa" --top 5',
        'twinlens search "beach" + "sunset" - "people"',
        'twinlens search "a dog" --instruct "only photos with snow"',
        'twinlens search "beach after:2019 near:Rome" --sort date',
        "twinlens search ./cat.jpg --for texts --html found.html",
    ),
)
@with_question
@with_output
def command(question: Question, output: Output) -> int:
    """Find photos or texts by words or by a photo.

    QUERY is words. It is a photo or a text file if it begins with ./ ../ ~/ / or file://

    Add and remove terms with + and -, with a space on each side: "beach" + "sunset" - "people".
    A term such as 2:dogs counts twice.

    A query may contain filters: "beach after:2019 -tag:work". A query of filters alone finds
    everything that passes them, newest first.
    """
    if output.layout == Layout.PREVIEW:
        check_previews()
    results = question.answers()
    if output.html is not None:
        _write_sheet(question.request, results, output.html)
    write_hits(results, output.layout, dated=results.by_date)
    return ExitCode.DONE if results else ExitCode.NOTHING


def _write_sheet(request: SearchRequest, hits: SearchResults, path: Path) -> None:
    """Write the contact sheet and say where it is."""
    asked = request.query
    aside = " · ".join(filter(None, (asked.filters, request.reranking.instruct)))
    row = retrieval.SheetRow(
        answers=hits.hits,
        words=asked.text,
        photo=asked.path if asked.kind == Kind.PHOTO else None,
        title=asked.filters if asked.is_filter else "",
        aside="" if asked.is_filter else aside,
        captions=[_dated(hit) for hit in hits] if request.by_date else (),
    )
    found = _found(hits, frames=request.frames)
    title = f"{_query_line(asked)}: {found}"
    retrieval.write_contact_sheet([row], path, title=title, heading=found)
    note(f"contact sheet: {path}")


def _query_line(query: Query) -> str:
    """Say in one line what was asked."""
    if query.is_filter:
        return query.filters
    words = f'"{shorten(query.text, _TITLE, placeholder="…")}"' if query.text else ""
    return " ".join(filter(None, (query.path.name if query.path else words, query.filters)))


def _found(hits: Sequence[Hit], *, frames: bool) -> str:
    """Say how many of what were found."""
    kinds = Counter(
        hit.kind.value if hit.time is None else "frame" if frames else "video" for hit in hits
    )
    return " and ".join(counted(kinds[kind], kind) for kind in sorted(kinds)) or "nothing found"


def _dated(hit: Hit) -> str:
    """Say when a photo was taken, and how likely it is a match where that is known."""
    taken = hit.about.taken
    day = taken.date().isoformat() if taken else "no date"
    return " · ".join(filter(None, (day, percent(hit.match))))

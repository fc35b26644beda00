"""Hits on stdout: a table or previews for people, lines for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from indexer.types import Kind, clock
from retrieval.cli.console import printable, shorten_left
from retrieval.cli.preview import show

if TYPE_CHECKING:
    from retrieval import Hit

F = TypeVar("F", bound=Callable[..., Any])

FIXED = 16  # cells of rank, score, and the space between columns
SCORE = 7  # of these the score's
MATCH = 7  # and those of the probability
DATE = 12  # and of a date
PATH_SHARE = 0.34  # of the rest that a path may have beside a text


class Layout(StrEnum):
    """How hits are printed."""

    TABLE = "table"
    JSON = "json"
    PATHS = "paths"
    NUL = "nul"
    CSV = "csv"
    PREVIEW = "preview"


FIELDS = ("rank", "score", "match", "kind", "path", "text", "id", "time")
"""What JSON and CSV tell of a hit."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where hits go: to stdout in a layout, and to a contact sheet if `html` names one."""

    layout: Layout
    html: Path | None


def with_output(function: F) -> Callable[..., Any]:
    """Add `--json`, `--csv`, `-f`, `-0`, `-p`, `--html`; the command takes `output: Output`."""

    @click.option("--json", "layout", flag_value="json", help="Print one JSON object a line.")
    @click.option("--csv", "layout", flag_value="csv", help="Print CSV with a header line.")
    @click.option(
        "-f", "--filepath-only", "layout", flag_value="paths", help="Print bare paths, one a line."
    )
    @click.option(
        "-0", "--null", "layout", flag_value="nul", help="Print bare paths, each ended by NUL."
    )
    @click.option(
        "-p",
        "--preview",
        "layout",
        flag_value="preview",
        help="Show the photos in the terminal.",
    )
    @click.option(
        "--html",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write a contact sheet, too.",
    )
    @wraps(function)
    def wrapped(*, layout: str | None, html: Path | None, **others: Any) -> Any:
        output = Output(layout=Layout(layout or "table"), html=html)
        return function(output=output, **others)

    return wrapped


def write_hits(hits: Sequence[Hit], layout: Layout, *, dated: bool = False) -> None:
    """Print hits to stdout, in a table with their dates if those are what counts.

    A table becomes tab-separated lines where no one watches.
    """
    if layout == Layout.TABLE:
        console = Console()
        if not console.is_terminal:
            return _write(_plain, hits)
        return write_table(hits, console, dated=dated) if hits else None
    if layout == Layout.PREVIEW:
        return write_previews(hits)
    if layout == Layout.CSV:
        return _write_csv(hits)
    lines = {Layout.JSON: _json, Layout.PATHS: _path, Layout.NUL: _path}
    return _write(lines[layout], hits, end="\0" if layout == Layout.NUL else "\n")


def write_table(hits: Sequence[Hit], console: Console, *, dated: bool = False) -> None:
    """Print hits as a table that fits the console; a column that says nothing is left out."""
    texts = any(hit.kind == Kind.TEXT for hit in hits)
    matches = any(hit.match is not None for hit in hits)
    scored = any(hit.score for hit in hits)  # what filters alone find has no score
    room = max(10, console.width - FIXED - MATCH * matches - DATE * dated + SCORE * (not scored))
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("", justify="right", style="dim", no_wrap=True)
    if scored:
        table.add_column("score", justify="right", no_wrap=True)
    if matches:
        table.add_column("match", justify="right", no_wrap=True)
    if dated:
        table.add_column("taken", no_wrap=True)
    if texts:
        table.add_column("text", ratio=1)
    table.add_column("file", no_wrap=True)
    width = int(room * PATH_SHARE) if texts else room
    for hit in hits:
        told = [f"{hit.score:.3f}"] * scored + [percent(hit.match)] * matches
        told += [_day(hit)] * dated + [printable(hit.text)] * texts
        table.add_row(str(hit.rank), *map(Text, told), _link(hit, width, dim=texts))
    console.print(table)


def _day(hit: Hit) -> str:
    """Say on which day a photo was taken; nothing where that is not known."""
    return hit.about.taken.date().isoformat() if hit.about.taken else ""


def write_previews(hits: Sequence[Hit]) -> None:
    """Print each hit with its photo below it."""
    console = Console()
    for hit in hits:
        told = (str(hit.rank), f"{hit.score:.3f}", percent(hit.match))
        line = Text("  ".join(filter(None, told)) + "  ", style="dim")
        room = max(10, console.width - line.cell_len)
        console.print(line + _link(hit, room, dim=False), no_wrap=True)
        if hit.kind == Kind.PHOTO:
            show(hit.path, console, hit.time)
        else:
            console.print(Text(printable(hit.text)))


def percent(match: float | None) -> str:
    """Say a probability for a person; nothing where it is not known."""
    return "" if match is None else f"{100 * match:.0f} %"


def _link(hit: Hit, width: int, *, dim: bool) -> Text:
    """Show the end of a path, linked to the file where the terminal can."""
    style = Style(dim=dim, link=hit.path.absolute().as_uri() if hit.path.is_absolute() else None)
    return Text(shorten_left(printable(hit.where), width), style=style)


def _write(line: Callable[[Hit], str], hits: Sequence[Hit], end: str = "\n") -> None:
    """Print one line a hit."""
    for hit in hits:
        click.echo(line(hit) + end, nl=False)


def _plain(hit: Hit) -> str:
    """Score, path, and the text or the time in a video, parted by tabs."""
    within = hit.text if hit.time is None else clock(hit.time)
    parts = [f"{hit.score:.4f}", str(hit.path), *([within] if within else [])]
    return "\t".join(printable(part) for part in parts)


def _path(hit: Hit) -> str:
    """The path as it is."""
    return str(hit.path)


def _json(hit: Hit) -> str:
    """One JSON object; what a photo does not say is left out."""
    return json.dumps({**_values(hit), **_about(hit)})


def _about(hit: Hit) -> dict[str, object]:
    """Return what a photo says about itself as plain values."""
    about = hit.about
    told = {
        "date": about.taken.isoformat() if about.taken else None,
        "latitude": about.latitude,
        "longitude": about.longitude,
        "place": about.place,
        "camera": about.camera,
        "lens": about.lens,
        "rating": about.rating,
        "keywords": list(about.keywords),
        "title": about.title,
        "caption": about.caption,
        "also": [str(hit.path.with_name(name)) for name in about.also],
    }
    return {name: value for name, value in told.items() if value not in (None, "", [])}


def _values(hit: Hit) -> dict[str, object]:
    """What is told of a hit, as plain values under the names of `FIELDS`."""
    values = {field: getattr(hit, field) for field in FIELDS}
    match = None if hit.match is None else round(hit.match, 4)
    return {**values, "score": round(hit.score, 6), "match": match, "path": str(hit.path)}


def _write_csv(hits: Sequence[Hit]) -> None:
    """Print a header and one row a hit; what is not known stays empty."""
    page = io.StringIO()
    writer = csv.DictWriter(page, FIELDS)
    writer.writeheader()
    writer.writerows(_values(hit) for hit in hits)
    click.echo(page.getvalue(), nl=False)

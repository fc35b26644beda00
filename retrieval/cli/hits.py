"""Hits on stdout: a table or previews for people, lines for programs."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from indexer.errors import UsageError
from indexer.types import clock
from retrieval.cli.console import printable
from retrieval.cli.options import with_one_of

if TYPE_CHECKING:
    from retrieval import Hit

F = TypeVar("F", bound=Callable[..., Any])


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


_FLAGS = (
    (("--json",), "json", "Print one JSON object a line."),
    (("--csv",), "csv", "Print CSV with a header line."),
    (("-f", "--filepath-only"), "paths", "Print bare paths, one a line."),
    (("-0", "--null"), "nul", "Print bare paths, each ended by NUL."),
    (("-p", "--preview"), "preview", "Show the photos in the terminal."),
)


def with_output(function: F) -> Callable[..., Any]:
    """Add `--json`, `--csv`, `-f`, `-0`, `-p`, `--html`; the command takes `output: Output`."""

    @with_one_of("layout", _FLAGS)
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
    if layout == Layout.TABLE and not sys.stdout.isatty():
        return _write(_plain, hits)
    if layout in (Layout.TABLE, Layout.PREVIEW):
        return _draw(hits, layout, dated=dated) if hits else None
    if layout == Layout.CSV:
        return _write_csv(hits)
    lines = {Layout.JSON: _json, Layout.PATHS: _path, Layout.NUL: _path}
    return _write(lines[layout], hits, end="\0" if layout == Layout.NUL else "\n")


def check_previews() -> None:
    """Refuse previews where the package that draws them is missing.

    Raises:
        UsageError: says how to install it.
    """
    if find_spec("textual_image") is None:
        raise UsageError(
            "-p draws with the package textual-image; install it with: "
            "pip install 'twinlens[preview]'"
        )


def _draw(hits: Sequence[Hit], layout: Layout, *, dated: bool) -> None:
    """Print a table or previews, with what takes a while to import."""
    from retrieval.cli.table import write_previews, write_table

    if layout == Layout.PREVIEW:
        return write_previews(hits)
    return write_table(hits, dated=dated)


def percent(match: float | None) -> str:
    """Say a probability for a person; nothing where it is not known."""
    return "" if match is None else f"{100 * match:.0f} %"


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
        "unlikely": None if hit.likely else True,
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

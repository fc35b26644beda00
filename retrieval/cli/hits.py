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
from retrieval.cli.console import bare, printable, put
from retrieval.files import check_page

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


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
"""How a formula of a spreadsheet may begin, wide characters too; and the apostrophe itself."""


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
    @with_sheet
    @wraps(function)
    def wrapped(*, layout: str | None, html: Path | None, **others: Any) -> Any:
        output = Output(layout=Layout(layout or "table"), html=html)
        return function(output=output, **others)

    return wrapped


def with_sheet(function: F) -> F:
    """Add `--html`; the command takes `html: Path | None`, a path that may be written."""

    def checked(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
        if path is not None:
            check_page(path)  # before the search, which may take minutes
        return path

    return click.option(
        "--html",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        callback=checked,
        help="Write a contact sheet, too.",
    )(function)


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
        put(line(hit) + end)


def _plain(hit: Hit) -> str:
    """Score, path, and the text or the time in a video, parted by tabs."""
    within = hit.text if hit.time is None else clock(hit.time)
    parts = [f"{hit.score:.4f}", str(hit.path), *([within] if within else [])]
    return "\t".join(printable(part) for part in parts)


def _path(hit: Hit) -> str:
    """The path: exact for a program, escaped on a terminal."""
    return bare(str(hit.path))


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
    for hit in hits:
        values = _values(hit)
        cells = {name: cell(bare(str(values[name]))) for name in ("kind", "path", "text")}
        writer.writerow({**values, **cells})
    put(page.getvalue())


def cell(text: str) -> str:
    """Return a text as a CSV cell that no spreadsheet takes for a formula.

    A text that begins like a formula, or with an apostrophe, gets an apostrophe in front. Whoever
    reads the file takes one apostrophe off each text that begins with one, and has the text again.

    Source: OWASP, CSV injection.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text

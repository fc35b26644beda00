"""Print hits on stdout: a table or previews for people, lines for programs."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial, wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from indexer.core.errors import UsageError
from indexer.core.file_access import NOT_REACHABLE, unreachable
from indexer.core.types import clock
from retrieval._enums import HIT_FIELDS
from retrieval.cli.console import bare, counted, note, printable, put
from retrieval.cli.options import with_one_of
from retrieval.output_files import cell, check_page

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


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where hits go: to stdout in a layout, and to a contact sheet if `html` names one."""

    layout: Layout
    html: Path | None


_FLAGS = (
    (("--json",), "json", "Print one JSON object per line."),
    (("--csv",), "csv", "Print CSV with a header line."),
    (("-f", "--filepath-only"), "paths", "Print only the paths, one per line."),
    (("-0", "--null"), "nul", "Print only the paths, each followed by NUL."),
    (("-p", "--preview"), "preview", "Show previews of the photos in the terminal."),
)


def with_output(function: F) -> Callable[..., Any]:
    """Add `--json`, `--csv`, `-f`, `-0`, `-p`, `--html`; the command takes `output: Output`."""

    @with_one_of("layout", _FLAGS)
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
        help="Also write a contact sheet: an HTML page with the photos.",
    )(function)


def write_hits(hits: Sequence[Hit], layout: Layout, *, dated: bool = False) -> None:
    """Print hits to stdout, in a table with their dates if those are what counts.

    A table becomes tab-separated lines where no one watches. Files that are not reachable are
    marked, and counted on stderr.
    """
    away = unreachable(hit.path for hit in hits)
    _write_hits(hits, layout, away, dated=dated)
    if away:
        note(
            f"{NOT_REACHABLE}: {counted(len(away), 'file')}; the drive is unplugged, or they were "
            "deleted since the last twinlens index"
        )


def _write_hits(hits: Sequence[Hit], layout: Layout, away: frozenset[Path], *, dated: bool) -> None:
    """Print hits; those whose files are away are marked."""
    if layout == Layout.TABLE and not sys.stdout.isatty():
        return _write(partial(_plain, away), hits)
    if layout in (Layout.TABLE, Layout.PREVIEW):
        return _draw(hits, layout, away, dated=dated) if hits else None
    if layout == Layout.CSV:
        return _write_csv(hits)
    lines: dict[Layout, Callable[[Hit], str]] = {
        Layout.JSON: partial(_json, away),
        Layout.PATHS: _path,
        Layout.NUL: _path,
    }
    return _write(lines[layout], hits, end="\0" if layout == Layout.NUL else "\n")


def check_previews() -> None:
    """Refuse previews where the package that draws them is missing.

    Raises:
        UsageError: says how to install it.
    """
    if find_spec("textual_image") is None:
        raise UsageError(
            "-p needs the package textual-image; install it with: pip install 'twinlens[preview]'"
        )


def _draw(hits: Sequence[Hit], layout: Layout, away: frozenset[Path], *, dated: bool) -> None:
    """Print a table or previews, with what takes a while to import."""
    from retrieval.cli.table import write_previews, write_table

    if layout == Layout.PREVIEW:
        return write_previews(hits, away)
    return write_table(hits, dated=dated, away=away)


def _write(line: Callable[[Hit], str], hits: Sequence[Hit], end: str = "\n") -> None:
    """Print one line a hit."""
    for hit in hits:
        put(line(hit) + end)


def _plain(away: frozenset[Path], hit: Hit) -> str:
    """Score, path, and the text or the time in a video, parted by tabs; last, that it is away."""
    within = hit.text if hit.time is None else clock(hit.time)
    parts = [f"{hit.score:.4f}", str(hit.path), *([within] if within else [])]
    parts += [NOT_REACHABLE] * (hit.path in away)
    return "\t".join(printable(part) for part in parts)


def _path(hit: Hit) -> str:
    """The path: exact for a program, escaped on a terminal."""
    return bare(str(hit.path))


def _json(away: frozenset[Path], hit: Hit) -> str:
    """One JSON object."""
    from retrieval.search.downloads import json_line

    return json_line(hit, away)


def _write_csv(hits: Sequence[Hit]) -> None:
    """Print a header and one row a hit; what is not known stays empty."""
    page = io.StringIO()
    writer = csv.DictWriter(page, HIT_FIELDS)
    writer.writeheader()
    for hit in hits:
        told = hit.as_json()
        values = {name: told[name] for name in HIT_FIELDS}
        cells = {name: cell(bare(str(values[name]))) for name in ("kind", "path", "text")}
        writer.writerow({**values, **cells})
    put(page.getvalue())

"""`twinlens tune`: how surely and how fast the library is searched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

import retrieval
from indexer.core.types import Kind
from retrieval.cli.console import note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_json, with_library, with_patience
from retrieval.cli.terminal import terminal

if TYPE_CHECKING:
    from retrieval import LockTimeout, SearchSetting


@click.command(epilog=example("twinlens tune", "twinlens tune --recall 0.99"))
@with_library
@click.option(
    "--recall",
    metavar="R",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Share of the true ten nearest to find, in the mean; 1 for an exact index "
    "[default: as before, at first 0.98].",
)
@click.option(
    "--exact-up-to",
    metavar="N",
    type=click.IntRange(min=0),
    help="Search so many photos exactly in any case [default: as before, at first 100000].",
)
@with_patience
@with_json
def command(
    library: Path,
    recall: float | None,
    exact_up_to: int | None,
    patience: LockTimeout,
    as_json: bool,
) -> int:
    """Choose how to search the library, and show what it costs.

    Up to 100,000 photos every vector is compared. Beyond, vectors lie in lists, and a search
    looks through the likeliest ones: as many as it takes for the recall, with words and with
    photos that ask. `twinlens index` tunes by itself; this command asks for another recall, and
    shows recall and milliseconds of several settings. They are measured with generic captions
    and with photos of the library, on another half of them than chooses.
    """
    with retrieval.Library.open(library) as opened:
        aim = opened.vectors.aim()
        aim = replace(
            aim,
            recall=aim.recall if recall is None else recall,
            exact_rows=aim.exact_rows if exact_up_to is None else exact_up_to,
        )
        settings = retrieval.tune(opened, aim, patience=patience)
    if not settings:
        note("the library holds nothing yet; fill it with: twinlens index FOLDER")
    if as_json:
        for setting in settings:
            click.echo(json.dumps(asdict(setting)))
    elif settings:
        terminal().print(_table(settings))
    return ExitCode.DONE


def _table(settings: Sequence[SearchSetting]) -> Table:
    """Lay out one setting a line."""
    table = Table(box=None, pad_edge=False)
    table.add_column("looks for")
    table.add_column("through")
    for asking in ("words", "photo"):
        table.add_column(f"recall, {asking}", justify="right")
        table.add_column("ms", justify="right")
    table.add_column("")
    for setting in settings:
        through = f"{setting.lists:,} of {setting.of:,} lists" if setting.of else "everything"
        cells = [f"{setting.item}s", through]
        for asking in (Kind.TEXT, Kind.PHOTO):
            known = asking in setting.recall
            cells.append(f"{setting.recall[asking]:.3f}" if known else "")
            cells.append(f"{1e3 * setting.seconds[asking]:.2f}" if known else "")
        table.add_row(*cells, "chosen" if setting.chosen else "")
    return table

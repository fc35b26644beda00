"""`twinlens tune`: set the recall target of a library, and measure recall and latency."""

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
    help="Recall target: the mean share of the ten true nearest that a search finds; 1 makes the "
    "search exact [default: unchanged, at first 0.98].",
)
@click.option(
    "--exact-up-to",
    metavar="N",
    type=click.IntRange(min=0),
    help="Always search up to N photos exactly [default: unchanged, at first 100000].",
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
    """Set and measure the recall of a large library.

    Up to 100,000 photos, a search compares every vector and is exact. A larger library gets an
    IVF index: its vectors form nlist clusters, and a search compares those of the nprobe nearest
    clusters. `twinlens index` chooses nprobe for the recall target; this command sets another
    target.

    The table shows recall and milliseconds of several values of nprobe, for queries by words
    (generic captions) and by photo (photos of the library). They are measured on held-out
    queries; the other half of the queries chose nprobe.
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
        note("the library is empty; fill it with: twinlens index FOLDER")
    if as_json:
        for setting in settings:
            click.echo(json.dumps(asdict(setting)))
    elif settings:
        terminal().print(_table(settings))
    return ExitCode.DONE


def _table(settings: Sequence[SearchSetting]) -> Table:
    """Lay out one setting a line."""
    table = Table(box=None, pad_edge=False)
    table.add_column("items")
    table.add_column("nprobe / nlist")
    for asking in ("words", "photo"):
        table.add_column(f"recall, {asking}", justify="right")
        table.add_column("ms", justify="right")
    table.add_column("")
    for setting in settings:
        through = f"{setting.lists:,} / {setting.of:,}" if setting.of else "exact"
        cells = [f"{setting.item}s", through]
        for asking in (Kind.TEXT, Kind.PHOTO):
            known = asking in setting.recall
            cells.append(f"{setting.recall[asking]:.3f}" if known else "")
            cells.append(f"{1e3 * setting.seconds[asking]:.2f}" if known else "")
        table.add_row(*cells, "chosen" if setting.chosen else "")
    return table

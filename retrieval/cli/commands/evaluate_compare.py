"""`twinlens evaluate --compare`: compare two models on the same pairs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import click
from rich.table import Table

import retrieval
from indexer.core.errors import UsageError
from retrieval.cli.console import list_skipped, printable
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.progress import progress
from retrieval.cli.terminal import terminal
from retrieval.runtime.model_choice import ModelChoice

if TYPE_CHECKING:
    from retrieval import Comparison, Evaluation, PairSet
    from retrieval.evaluation import Difference

_HEADINGS = {"text_to_image": "text → photo", "image_to_text": "photo → text"}


def show_comparison(
    pairs: PairSet, specs: tuple[str, str], model: ModelChoice, hubness: bool, as_json: bool
) -> int:
    """Evaluate two models on the same pairs and print what the second has more.

    Raises:
        UsageError: a third model was named with `--model`.
    """
    if model.spec is not None:
        raise UsageError("--compare names both models: leave out --model")
    first, second = (_measured(pairs, replace(model, spec=spec), hubness) for spec in specs)
    done = retrieval.compare(first, second)
    list_skipped(first.skipped)
    if as_json:
        click.echo(json.dumps(done.as_json()))
    else:
        terminal().print(_table(done))
    return ExitCode.SKIPPED if first.skipped else ExitCode.DONE


def _measured(pairs: PairSet, model: ModelChoice, hubness: bool) -> Evaluation:
    """Load one model and evaluate it."""
    with progress(f"embedding photos with {model.spec}") as report:
        return retrieval.evaluate(model.load(), pairs, report, hubness=hubness)


def _table(done: Comparison) -> Table:
    """Lay out both models and the difference for a person."""
    first = done.first
    names = [printable(each.model) for each in (done.first, done.second)]
    table = Table(
        title=f"A {names[0]}, B {names[1]}: {first.images:,} photos, {first.captions:,} captions",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 3, 0, 0),
        header_style="dim",
    )
    for heading in ("", "A", "B", "B − A", "p"):
        table.add_column(heading)
    for direction, metrics in done.differences.items():
        table.add_row(f"[bold]{_HEADINGS[direction]}[/bold]")
        for name, difference in metrics.items():
            table.add_row(name, *_cells(difference))
        medians = [getattr(each, direction).median_rank for each in (done.first, done.second)]
        table.add_row("median rank", *(f"{median:5g}" for median in medians))
    table.add_row("[bold]sum of all R@k[/bold]", *_cells(done.rsum))
    return table


def _cells(difference: Difference) -> tuple[str, str, str, str]:
    """Print both figures, their difference with its interval, and p."""
    interval = f"{difference.low:+.1f} to {difference.high:+.1f}"
    return (
        f"{difference.first:5.1f}",
        f"{difference.second:5.1f}",
        f"{difference.value:+5.1f}  [dim]{interval}[/dim]",
        f"{difference.p:.4f}",
    )

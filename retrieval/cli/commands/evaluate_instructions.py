"""`twinlens evaluate --instructions`: measure how well a reranker follows instructions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from rich.table import Table

import retrieval
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.progress import progress
from retrieval.cli.terminal import terminal

if TYPE_CHECKING:
    from retrieval import Encoder, InstructionResult, PairSet, Reranker


def show_obedience(pairs: PairSet, encoder: Encoder, reranker: Reranker, as_json: bool) -> int:
    """Measure, and print for a person or as JSON."""
    with progress("encoding photos") as report:
        done = retrieval.evaluate_instructions(encoder, reranker, pairs, report)
    if as_json:
        click.echo(json.dumps({"reranker": reranker.name, **done.as_json()}))
    else:
        terminal().print(_table(done, reranker.name))
    return ExitCode.DONE


def _table(done: InstructionResult, name: str) -> Table:
    """Lay out the figures."""
    table = Table(
        title=f"{name}: {done.instances:,} queries with a constraint ({', '.join(done.families)})",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 3, 0, 0),
        show_header=False,
    )
    low, high = done.p_mrr_interval
    table.add_row("p-MRR", f"{done.p_mrr:6.1f}  [dim]{low:.1f} to {high:.1f}[/dim]")
    table.add_row("Robustness@10", f"{done.robustness:6.1f}")
    table.add_row("— on photos that captions judge", f"{done.robustness_told:6.1f}")
    for control, value in done.controls.items():
        table.add_row(f"p-MRR, {control} instruction", f"{value:6.1f}")
    for instance in done.worst:
        table.add_row("[dim]worst[/dim]", f"[dim]{instance.query}; {instance.wordings[0]}[/dim]")
    return table

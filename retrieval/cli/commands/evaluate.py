"""`twinlens evaluate`: measure how well a model matches photos and captions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

import retrieval
from retrieval.cli.commands.evaluate_compare import show_comparison
from retrieval.cli.commands.evaluate_instructions import show_obedience
from retrieval.cli.console import list_skipped, note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import (
    example,
    with_hubness,
    with_json,
    with_model,
    with_reranking,
)
from retrieval.cli.progress import progress
from retrieval.cli.terminal import terminal
from retrieval.rerankers import reranker_needs_torch
from retrieval.runtime.model_choice import ModelChoice
from retrieval.search.search_request import RerankChoice

if TYPE_CHECKING:
    from retrieval import Encoder, Evaluation, Reranker
    from retrieval.evaluation import Direction, Directions, Estimate

TOO_FEW = 10  # photos among which the top ten holds every one


@click.command(
    epilog=example(
        "twinlens evaluate --data pairs.jsonl --model runs/mine",
        "twinlens evaluate --data pairs.jsonl --compare builtin runs/mine",
        "twinlens evaluate --data pairs.jsonl --rerank",
        "twinlens evaluate --data pairs.jsonl --instructions --json",
    )
)
@click.option(
    "--data",
    required=True,
    metavar="PAIRS",
    type=click.Path(path_type=Path),
    help="Photos with captions: a .jsonl, .csv, .tsv or .tar file, or a folder.",
)
@click.option(
    "--compare",
    nargs=2,
    metavar="A B",
    help="Measure two models and the difference, B minus A.",
)
@click.option(
    "--instructions",
    is_flag=True,
    help="Measure how well the reranker follows instructions.",
)
@with_reranking(instruct=False)
@with_hubness
@with_model("builtin")
@with_json
def command(  # noqa: PLR0913 - one a group of options
    data: Path,
    compare: tuple[str, str] | None,
    instructions: bool,
    reranking: RerankChoice,
    hubness: bool,
    model: ModelChoice,
    as_json: bool,
) -> int:
    """Measure a model on photos with captions.

    Each caption is a query for its photo among all photos, and each photo a query for its
    captions among all captions. R@k is the share of queries with a right answer in the top k;
    recall@k is the share of all right answers that are in the top k. Intervals are 95 %
    bootstrap intervals over the queries. Scores are corrected for hubs, as in a search; the
    table also shows the figures of the plain cosines.

    --compare shows the difference of two models with its interval and its p-value: the
    probability that chance alone gives a difference this large, in either direction. Both treat
    a photo and its captions as one unit.

    --rerank also reranks the first 50 candidates of each query. --instructions adds constraints
    of kinds and wordings that the reranker was not trained on. p-MRR is how far photos fall that
    break the constraint; Robustness@10 is the nDCG@10 of the worst wording.
    """
    pairs = retrieval.read_pairs(data)
    if compare is not None:
        return show_comparison(pairs, compare, model, hubness, as_json)
    encoder = model.measured(torch=bool(reranking.spec and reranker_needs_torch(reranking.spec)))
    if instructions:
        return show_obedience(pairs, encoder, _reranker(reranking, encoder), as_json)
    reranker = _reranker(reranking, encoder) if reranking.requested else None
    with progress("embedding photos") as report:
        done = retrieval.evaluate(encoder, pairs, report, hubness=hubness, reranker=reranker)
    list_skipped(done.skipped)
    _note_limits(done)
    if as_json:
        click.echo(json.dumps(done.as_json()))
    else:
        terminal().print(_table(done))
    return ExitCode.SKIPPED if done.skipped else ExitCode.DONE


def _reranker(choice: RerankChoice, encoder: Encoder) -> Reranker:
    """Load the reranker that was named, else the one that ships."""
    return retrieval.load_reranker(choice.spec or "builtin", encoder)


def _note_limits(done: Evaluation) -> None:
    """Print notes on what makes the figures worse or better than the model."""
    if done.duplicates:
        note(
            f"{len(done.duplicates):,} photos are copies of another one, pixel for pixel; they tie "
            f"with it, which counts against the model. The first: {done.duplicates[0]}"
        )
    if done.images <= TOO_FEW:
        note(f"the top 10 of {done.images} photos contains all of them: R@10 means nothing here")


def _table(done: Evaluation) -> Table:
    """Lay out both directions for a person."""
    table = Table(
        title=f"{done.model}: {done.images:,} photos, {done.captions:,} captions",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 3, 0, 0),
        header_style="dim",
    )
    table.add_column("")
    table.add_column("text → photo")
    table.add_column("photo → text")
    if done.reranker is not None:
        _add_rows(table, done, " reranked")
    if done.hubness is not None:
        _add_rows(table, done.first_stage, "")
    _add_rows(table, done.without_hubness, " by cosine" if done.hubness else "")
    return table


def _add_rows(table: Table, both: Directions, suffix: str) -> None:
    """Add one row a figure, and a line below."""
    there, back = _cells(both.text_to_image), _cells(both.image_to_text)
    for name in there:
        table.add_row(name + suffix, there[name], back[name])
    table.add_section()


def _cells(direction: Direction) -> dict[str, str]:
    """Name and print the figures of one direction."""
    return {
        **{f"R@{k}": _percent(estimate) for k, estimate in direction.hit_rate.items()},
        **{f"recall@{k}": _percent(estimate) for k, estimate in direction.recall.items()},
        "median rank": f"{direction.median_rank:5g}",
    }


def _percent(estimate: Estimate) -> str:
    """Print a figure with its interval."""
    return f"{estimate.value:5.1f} %  [dim]{estimate.low:.1f} to {estimate.high:.1f}[/dim]"

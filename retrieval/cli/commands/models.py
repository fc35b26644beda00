"""`twinlens models`: which models are recommended, fetching them, trying them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import retrieval
from retrieval.cli.console import note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_json, with_library
from retrieval.output_files import check_page
from retrieval.runtime.model_choice import ModelChoice

if TYPE_CHECKING:
    from rich.table import Table

    from retrieval.cli.progress import Report
    from retrieval.models.model_catalog import RecommendedModel

MEGABYTE = 1_000_000


@click.group(
    invoke_without_command=True,
    epilog=example("twinlens models", "twinlens models fetch good"),
)
@with_json
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the recommended models.

    Every --model option takes these names. Recall is the published percentage of captions of COCO
    5K whose photo comes first. Photos per second are measured once, on this machine, for models
    that are downloaded. This command downloads nothing.
    """
    if ctx.invoked_subcommand is not None:
        return
    from retrieval.models.model_catalog import recommended_models

    models = [(model, _speed(model) if model.is_here else None) for model in recommended_models()]
    if as_json:
        for model, speed in models:
            click.echo(json.dumps(_as_json(model, speed)))
        return
    from retrieval.cli.terminal import terminal

    terminal().print(_table(models))
    note("download one with: twinlens models fetch NAME; then use it with: --model NAME")


def _speed(model: RecommendedModel) -> float | None:
    """Return how many photos a second a model embeds on this CPU; None if it cannot be used."""
    try:
        return _known_or_measured(model)
    except retrieval.TwinlensError as error:
        note(f"{model.name}: {error}")
        return None


def _known_or_measured(model: RecommendedModel) -> float:
    """Return how many photos a second a model embeds on this CPU, measured if need be."""
    from retrieval.cli.progress import phase
    from retrieval.runtime.embedding_speed import known_speed, measure_speed

    encoder = ModelChoice(spec=model.spec, device="cpu", phase=phase).quick()
    known = known_speed(encoder)
    if known is not None:
        return known
    with phase(f"measuring how fast {model.name} is here (once)"):
        return measure_speed(encoder)


def _as_json(model: RecommendedModel, speed: float | None) -> dict[str, Any]:
    """Return what is known of a model as plain values."""
    return {
        "name": model.name,
        "spec": model.spec,
        "suits": model.suits,
        "megabytes": model.megabytes,
        "licence": model.licence,
        "languages": model.languages,
        "coco_recall_at_1": model.recall,
        "source": model.source or None,
        "photos_per_second": speed,
        "downloaded": model.is_here,
    }


def _table(models: list[tuple[RecommendedModel, float | None]]) -> Table:
    """Lay out the models for a person; below each name is what it stands for."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("name", "suits", "MB", "licence", "languages", "recall", "photos/s"):
        right = heading in ("MB", "recall", "photos/s")
        table.add_column(heading, justify="right" if right else "left")
    for model, speed in models:
        table.add_row(
            f"[bold]{model.name}[/bold]",
            model.suits,
            f"{model.megabytes:,}",
            model.licence,
            model.languages,
            "" if model.recall is None else f"{model.recall:.1f}",
            _speed_cell(model, speed),
        )
    lines = [f"{model.name}: {model.spec}" for model, _ in models if model.spec != model.name]
    sources = sorted({model.source for model, _ in models if model.source})
    table.caption = "\n".join([*lines, f"recall: {'; '.join(sources)}"])
    table.caption_justify = "left"
    return table


def _speed_cell(model: RecommendedModel, speed: float | None) -> str:
    """Say how fast a model is, or why that is not known."""
    if speed is not None:
        return f"{speed:.1f}"
    return "broken" if model.is_here else "–"


@command.command(epilog=example("twinlens models fetch good"))
@click.argument("name")
def fetch(name: str) -> None:
    """Download a model.

    NAME is a name from `twinlens models`, or hf-hub:ORG/NAME of a pair of ONNX files. After an
    interruption, the same command continues where it stopped. The hash of each file is checked.
    HF_ENDPOINT names a mirror of the hub, HF_HOME the folder for the files.
    """
    from retrieval.cli.progress import progress
    from retrieval.models.fetch import fetch_onnx_pair
    from retrieval.models.model_catalog import carried, to_be_fetched
    from retrieval.models.onnx_pair import HUB, onnx_pair_of

    repository, started = to_be_fetched(name), time.monotonic()
    with progress(f"downloading {name}", "MB", last="checking", announced=True) as report:
        done = fetch_onnx_pair(repository, _megabytes(report))
    onnx_pair_of(HUB + repository)  # says what is wrong with it, if anything is
    came = f"{done.received / 1e9:.2f} GB came in {time.monotonic() - started:.0f} s"
    click.echo(f"{name} is downloaded, {done.bytes / 1e9:.2f} GB ({came}): {done.folder}")
    note(f"to make a new library: twinlens index FOLDER --library DIR --model {name}")
    note(f"to change your library: twinlens reindex --model {name}")
    note(f"for a machine without a network, {carried(done.folder)}")


def _megabytes(report: Report) -> Callable[[int, int], None]:
    """Report bytes as megabytes; what was here before does not count in the speed."""
    before: list[int] = []

    def tell(here: int, total: int) -> None:
        before.append(here) if not before else None
        counted = max(0, here - before[0]) // MEGABYTE
        report(here // MEGABYTE, max(1, total // MEGABYTE), counted)

    return tell


@command.command("test", epilog=example('twinlens models test good ~/Pictures -q "a red car"'))
@click.argument("name")
@click.argument(
    "photos",
    nargs=-1,
    required=True,
    metavar="PHOTOS...",
    type=click.Path(exists=True, resolve_path=True, path_type=Path),
)
@click.option(
    "-q",
    "--query",
    "queries",
    metavar="WORDS",
    multiple=True,
    help="What to look for [default: five common things]. Repeatable.",
)
@with_library
@click.option(
    "--sample",
    "most",
    metavar="N",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Photos that are tried, at most; more are sampled.",
)
@click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="Of the sample.")
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The contact sheet [default: a new temporary file].",
)
def try_out(  # noqa: PLR0913 - an option each
    name: str,
    photos: tuple[Path, ...],
    queries: tuple[str, ...],
    library: Path,
    most: int,
    seed: int,
    html: Path | None,
) -> int:
    """Compare a model with yours on some photos.

    Photos below PHOTOS are indexed with the model of the library, or else the built-in one, and
    with the model NAME, in a temporary folder. A contact sheet has the answers side by side. Your
    library stays as it is.
    """
    if html is not None:
        check_page(html)  # before the work
    from retrieval.cli.commands.models_compare import sample, write_comparison

    chosen = sample(photos, most=most, seed=seed)
    page = write_comparison(chosen, queries, models=(_own(library), name), html=html)
    click.echo(f"the answers side by side: {page}")
    return ExitCode.DONE


def _own(library: Path) -> str:
    """Name the model of the library, else the built-in one."""
    from indexer.core.errors import LibraryMissing

    try:
        with retrieval.Library.open(library) as opened:
            return opened.model
    except LibraryMissing:
        return "builtin"

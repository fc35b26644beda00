"""`twinlens blend`: one model out of several, by the mean of their weights."""

from __future__ import annotations

from pathlib import Path

import click

from indexer.core.errors import UsageError
from retrieval._enums import WeightStorage
from retrieval._extras import require_torch
from retrieval.cli.console import note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example


@click.command(
    epilog=example(
        "twinlens blend builtin runs/mine --weight 0.6 --out runs/both",
        "twinlens blend runs/seed0 runs/seed1 runs/seed2 --out runs/soup",
    )
)
@click.argument("models", nargs=-1, required=True, metavar="MODEL MODEL...")
@click.option(
    "--weight",
    "weights",
    multiple=True,
    type=float,
    metavar="SHARE",
    help="Share of each model, in their order; the last may be left out and gets what is left "
    "of 1. Without any, all are equal. Repeatable.",
)
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the result.",
)
@click.option(
    "--storage",
    type=click.Choice([choice.value for choice in WeightStorage]),
    default=WeightStorage.FLOAT16.value,
    show_default=True,
    help="How the weights of the result lie on disk.",
)
def command(models: tuple[str, ...], weights: tuple[float, ...], out: Path, storage: str) -> int:
    """Mix models that were trained from one start.

    The weights of the result are the weighted mean of theirs. The mean of a model and its
    fine-tuning keeps most of what either knows (WiSE-FT); the mean of several fine-tunings is
    better than each (model soup). DIR is a model for --model; its train.json says what it was
    made of.
    """
    require_torch("`twinlens blend`")
    shares = _shares(len(models), weights)
    from retrieval.training.finetune.weight_averaging import write_blend

    write_blend(models, shares, out, WeightStorage(storage))
    parts = " + ".join(f"{share:g} {spec}" for spec, share in zip(models, shares, strict=True))
    note(f"wrote {out} = {parts}")
    return ExitCode.DONE


def _shares(models: int, weights: tuple[float, ...]) -> tuple[float, ...]:
    """Complete the shares that were given.

    Raises:
        UsageError: too many or too few, or only one model.
    """
    if models < 2:
        raise UsageError("a blend takes two models or more")
    if not weights:
        return (1.0 / models,) * models
    if len(weights) == models - 1:
        return (*weights, round(1.0 - sum(weights), 9))
    if len(weights) != models:
        raise UsageError(
            f"{models} models take {models - 1} or {models} --weight, not {len(weights)}"
        )
    return weights

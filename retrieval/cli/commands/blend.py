"""`twinlens blend`: average the weights of several models."""

from __future__ import annotations

from pathlib import Path

import click

from indexer.core.errors import UsageError
from retrieval._enums import WeightStorage
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
    help="Weight of each model, in the same order. The last may be left out: the weights add up "
    "to 1. Repeatable [default: equal weights].",
)
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for the result.",
)
@click.option(
    "--storage",
    type=click.Choice([choice.value for choice in WeightStorage]),
    default=WeightStorage.FLOAT16.value,
    show_default=True,
    help="Format of the stored weights.",
)
def command(models: tuple[str, ...], weights: tuple[float, ...], out: Path, storage: str) -> int:
    """Average models that were trained from the same start.

    The result has the weighted mean of the models' weights. The mean of a model and its
    fine-tuned version keeps most of what each of them knows (WiSE-FT). The mean of several
    fine-tuned versions is usually better than each of them (model soup). Use DIR as --model;
    its train.json lists the models and their weights.
    """
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
        raise UsageError("a blend needs two models or more")
    if not weights:
        return (1.0 / models,) * models
    if len(weights) == models - 1:
        return (*weights, round(1.0 - sum(weights), 9))
    if len(weights) != models:
        raise UsageError(
            f"{models} models need {models - 1} or {models} --weight, not {len(weights)}"
        )
    return weights

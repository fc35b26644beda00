"""`twinlens train-reranker`: train a reranker, on photos with captions or on triples.

The options are the fields of `RerankerTraining`; its docstring is their help.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_type_hints

import click

from retrieval._extras import require_torch
from retrieval.builtin_reranker.training.training_config import RerankerTraining
from retrieval.cli.console import list_skipped, note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import documented, example, option, with_model
from retrieval.cli.progress import progress
from retrieval.runtime.model_choice import ModelChoice

_OF_TRIPLES = {"steps", "lr", "rank", "seed"}
_PATH = click.Path(path_type=Path)


def _with_fields(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every field of the configuration."""
    hints, texts = get_type_hints(RerankerTraining), documented(RerankerTraining)
    for field in reversed(dataclasses.fields(RerankerTraining)):
        function = option(field, hints[field.name], texts[field.name])(function)
    return function


@click.command(
    epilog=example(
        "twinlens train-reranker --pairs train.jsonl --val dev.jsonl --out runs/two",
        'twinlens search "a vehicle" --instruct "no motorcycles" --reranker runs/two',
        "twinlens train-reranker --triples mine.jsonl --init MODEL --out runs/large",
    )
)
@click.option(
    "--pairs",
    type=_PATH,
    multiple=True,
    metavar="PAIRS",
    help="Photos with captions: a .jsonl, .csv, .tsv or .tar file, or a folder. Repeatable; all "
    "are mixed.",
)
@click.option(
    "--triples",
    type=_PATH,
    metavar="JSONL",
    help="Judged candidates (query, instruction, candidate, label) for a Transformers reranker; "
    "replaces --pairs.",
)
@click.option(
    "--val",
    type=_PATH,
    metavar="PAIRS",
    help="Pairs for validation: they choose the weight of the reranker's scores. Keep them apart "
    "from --pairs.",
)
@click.option("--out", type=_PATH, required=True, metavar="DIR", help="Folder for the result.")
@click.option(
    "--init",
    metavar="SPEC",
    help="Reranker to start from. Required with --triples [default: a new one].",
)
@click.option(
    "--signs-only",
    is_flag=True,
    help="Train only the polarity classifier of --init: does an instruction ask for something or "
    "forbid it?",
)
@click.option("--rank", type=int, default=None, help="Rank of the adapters, with --triples.")
@_with_fields
@with_model("builtin")
def command(
    pairs: tuple[Path, ...],
    triples: Path | None,
    val: Path | None,
    out: Path,
    init: str | None,
    model: ModelChoice,
    **given: Any,
) -> int:
    """Train a reranker to order photos and follow instructions.

    It reads photos and texts with the dual encoder --model, which is not trained. Captions train
    its word detectors and caption language models. Generated instructions train its polarity
    classifier, which decides what an instruction asks for and what it forbids. To continue a run
    that was stopped, give the same command again.

    --signs-only trains the polarity classifier of --init, and fits its style attributes ("black
    and white") and the weight of instructions; nothing else changes. It uses --steps, --signs,
    --lr and --seed. With --steps 0, the polarity classifier does not change either.

    --triples trains low-rank adapters of the large reranker --init. Each line of the file is
    {"query", "instruction", "candidate": "photo.jpg", "label": 0 or 1}. It uses --steps, --lr,
    --rank, --seed and --device.
    """
    require_torch("`twinlens train-reranker`")
    signs_only = bool(given.pop("signs_only"))
    settings = {name: value for name, value in given.items() if value is not None}
    if triples is not None:
        return _from_triples(triples, init, out, model, settings)
    return _from_pairs(pairs, val, out, init, (model, settings, signs_only))


def _from_triples(
    triples: Path, init: str | None, out: Path, model: ModelChoice, settings: dict[str, Any]
) -> int:
    """Fine-tune a large reranker."""
    unfit = sorted(set(settings) - _OF_TRIPLES)
    if unfit or init is None:
        what = f"does not use --{unfit[0].replace('_', '-')}" if unfit else "needs --init"
        raise click.UsageError(f"--triples {what}")
    from retrieval.models.torch_encoder import choose_device
    from retrieval.training.finetune.judgments import read_triples
    from retrieval.training.finetune.lora_reranker import LoraTuning, tune_large

    tuning = LoraTuning(**settings)
    with progress("learning", "steps") as bar:
        skipped = tune_large(
            init,
            read_triples(triples),
            tuning,
            out,
            choose_device(model.device),
            lambda step, _loss: bar(step, tuning.steps),
        )
    list_skipped(skipped)
    note(f"wrote {out}")
    return ExitCode.SKIPPED if skipped else ExitCode.DONE


def _from_pairs(
    pairs: tuple[Path, ...],
    val: Path | None,
    out: Path,
    init: str | None,
    how: tuple[ModelChoice, dict[str, Any], bool],
) -> int:
    """Train a reranker that reads with a built-in encoder, or its signs alone."""
    model, settings, signs_only = how
    if not pairs or val is None:
        raise click.UsageError("name --pairs to train on and --val for validation, or --triples")
    if "rank" in settings:
        raise click.UsageError("--rank is for --triples")
    training = RerankerTraining(**settings)
    from retrieval.builtin_reranker.training.polarity_run import run_sign_training
    from retrieval.builtin_reranker.training.run import (
        RerankerObserver,
        RerankerRun,
        run_reranker_training,
    )

    run = run_sign_training if signs_only else run_reranker_training
    encoder, start = model.load(), Path(init) if init else None
    config = RerankerRun(pairs=pairs, val=val, out=out, init=start, training=training)
    with ExitStack() as stack:
        done = run(config, encoder, RerankerObserver(note=note, phase=_Bars(stack).phase))
    list_skipped(done.skipped)
    weights = dataclasses.asdict(done.fusion).items()
    trusted = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in weights)
    note(f"wrote {out}; fusion weights: {trusted}")
    return ExitCode.SKIPPED if done.skipped else ExitCode.DONE


class _Bars:
    """One bar after another, each with the name of what is done."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def phase(self, name: str, unit: str) -> Callable[[int, int], None]:
        """Close the bar before, and open one for what begins."""
        self._stack.close()
        return self._stack.enter_context(progress(name, unit, announced=True))

"""`twinlens train-reranker`: teach the second stage from photos with captions.

The options are the fields of `RerankerTraining`; their help is the docstring of that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_type_hints

import click

from retrieval.choices import Precision, Verdict
from retrieval.cli.codes import ExitCode
from retrieval.cli.console import Report, list_skipped, note, progress
from retrieval.cli.fields import documented, option
from retrieval.cli.options import ModelChoice, example, with_model
from retrieval.training.reranker.config import RerankerTraining

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
        'twinlens search "a dog" --instruct "no people" --reranker runs/two',
    )
)
@click.option(
    "--pairs",
    type=_PATH,
    multiple=True,
    required=True,
    metavar="PAIRS",
    help="Photos with captions: .jsonl, .csv, .tsv, .tar, or a folder. Several are mixed.",
)
@click.option(
    "--val",
    type=_PATH,
    required=True,
    metavar="PAIRS",
    help="Pairs to choose on how far the reranker is trusted; not to be learned from.",
)
@click.option("--out", type=_PATH, required=True, metavar="DIR", help="Folder of the result.")
@click.option("--init", type=_PATH, metavar="DIR", help="Reranker to start from [default: new].")
@_with_fields
@with_model("builtin")
def command(
    pairs: tuple[Path, ...],
    val: Path,
    out: Path,
    init: Path | None,
    model: ModelChoice,
    **given: Any,
) -> int:
    """Teach a reranker to tell like photos apart, and to follow instructions.

    It reads with the dual encoder --model, which stays as it is. Lessons are made of the captions:
    photos near to them, and wishes that some photos meet and others do not. A run that was stopped
    goes on when the same command is given again.
    """
    training = _training({name: value for name, value in given.items() if value is not None})
    from retrieval.training.reranker.run import RerankerRun, Watch, run_reranker_training

    encoder = model.load()
    config = RerankerRun(pairs=pairs, val=val, out=out, init=init, training=training)
    with ExitStack() as stack:
        bars = _Bars(stack, training.steps)
        watch = Watch(note=note, looked=bars.looked, learned=bars.learned)
        done = run_reranker_training(config, encoder, watch)
    list_skipped(done.skipped)
    weights = dataclasses.asdict(done.fusion).items()
    trusted = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in weights)
    note(f"wrote {out}; weights beside the first stage: {trusted}")
    return ExitCode.SKIPPED if done.skipped else ExitCode.DONE


class _Bars:
    """A bar while photos are looked at, then one while the reranker learns."""

    def __init__(self, stack: ExitStack, steps: int) -> None:
        self._stack, self._steps = stack, steps
        self._looking: Report | None = stack.enter_context(progress("looking at photos"))
        self._learning: Report | None = None

    def looked(self, done: int, total: int) -> None:
        """Report photos looked at; those of the validation come last, without a bar."""
        if self._looking is not None:
            self._looking(done, total)

    def learned(self, step: int, _loss: float) -> None:
        """Report steps."""
        if self._learning is None:
            self._stack.close()
            self._looking = None
            self._learning = self._stack.enter_context(progress("learning", "steps"))
        self._learning(step, self._steps)


def _training(given: dict[str, Any]) -> RerankerTraining:
    """Turn options into the configuration."""
    for name, kind in (("verdict", Verdict), ("precision", Precision)):
        if name in given:
            given[name] = kind(given[name])
    return RerankerTraining(**given)

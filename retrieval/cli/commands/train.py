"""`twinlens train`: train a dual encoder on photos with captions.

The options are the fields of `TrainConfig` and `AugmentConfig`; the docstrings of these classes are
their help.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import click

from indexer.core.errors import UsageError
from retrieval._extras import require_torch
from retrieval.cli.console import note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import documented, example, option
from retrieval.cli.progress import Report, progress
from retrieval.training.config import AugmentConfig, TrainConfig

if TYPE_CHECKING:
    from retrieval.training.observer import TrainProgress

_FILES = ("pairs", "val", "keep", "out")
_PATH = click.Path(path_type=Path)


def _with_fields(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every field of the two configurations."""
    for config in (AugmentConfig, TrainConfig):
        hints, texts = get_type_hints(config), documented(config)
        for field in reversed(dataclasses.fields(config)):
            if field.name not in (*_FILES, "augment"):
                function = option(field, hints[field.name], texts[field.name])(function)
    return function


@click.command(
    epilog=example(
        "twinlens train --pairs train.jsonl --val dev.jsonl --out runs/mine",
        "twinlens train --pairs few.jsonl --out runs/few --lora 8 --lr 1e-3 --wise .5",
        "twinlens index ~/Pictures --model runs/mine --library mine",
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
    "--val",
    type=_PATH,
    metavar="PAIRS",
    help="Pairs for validation; the weights that are best on them are kept.",
)
@click.option(
    "--keep",
    type=_PATH,
    metavar="PAIRS",
    help="Pairs for what the model must not forget. With --wise, they count as much as --val.",
)
@click.option("--out", type=_PATH, required=True, metavar="DIR", help="Folder for the result.")
@click.option("--config", type=_PATH, metavar="TOML", help="TOML file with any of these settings.")
@_with_fields
def command(config: Path | None, **given: Any) -> int:
    """Train a dual encoder on photos with captions.

    DIR receives the model (for --model), its log, and plots of loss and recall. To continue a
    run that was stopped, give the same command again. Pairs that cannot be used are skipped and
    counted; DIR/skipped.jsonl lists them. With several GPUs:
    torchrun --nproc-per-node N -m retrieval.cli train ...
    """
    require_torch("`twinlens train`")
    settings = _read(config) if config else {}
    settings |= {name: value for name, value in given.items() if value not in (None, ())}
    chosen = _build(settings)
    from retrieval.training.loop import train
    from retrieval.training.observer import TrainObserver

    with ExitStack() as stack:
        bars = _Bars(stack)
        watch = TrainObserver(
            note=note, phase=bars.phase, decoded=bars.decoded, progress=bars.trained
        )
        done = train(chosen, watch)
    note(f"wrote {done.out} after {done.steps} steps")
    return ExitCode.SKIPPED if done.skipped else ExitCode.DONE


class _Bars:
    """A bar while photos are decoded, then one while the model learns."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._decoding = stack.enter_context(progress("decoding", last="preparing the training"))
        self._training: Report | None = None
        self._before = 0

    def decoded(self, done: int, total: int) -> None:
        """Report photos decoded."""
        self._decoding(done, total)

    def phase(self, name: str) -> None:
        """Say what is done between two steps."""
        (self._training or self._decoding).name(name)

    def trained(self, now: TrainProgress) -> None:
        """Report photos learned from."""
        if self._training is None:
            self._stack.close()
            self._training = self._stack.enter_context(
                progress("training", last="writing the model")
            )
            self._before = now.photos - now.batch  # learned from before a resume: not in the rate
        self._training(now.photos - self._before, now.total - self._before)


def _read(path: Path) -> dict[str, Any]:
    """Read settings from a TOML file; its paths are relative to it."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the settings in '{path}': {error}") from error
    return settings


def _build(settings: dict[str, Any]) -> TrainConfig:
    """Turn plain settings into the configuration of a run."""
    hints = {**get_type_hints(TrainConfig), **get_type_hints(AugmentConfig)}
    unknown = sorted(set(settings) - set(hints))
    if unknown:
        raise UsageError(f"unknown setting {', '.join(unknown)}; see 'twinlens train --help'")
    typed = {name: _typed(value, hints[name]) for name, value in settings.items()}
    varied = {field.name for field in dataclasses.fields(AugmentConfig)}
    augment = AugmentConfig(**{name: typed.pop(name) for name in varied & set(typed)})
    return TrainConfig(**{"pairs": (), **typed}, augment=augment)


def _typed(value: Any, hint: Any) -> Any:
    """Bring a plain value to the type of its field."""
    if isinstance(value, list | tuple):
        return tuple(get_args(hint)[0](item) for item in value)
    kind = next((arg for arg in get_args(hint) if arg is not type(None)), hint)
    return kind(value)

"""Options that several commands share. Each decorator passes one value to its command.

`with_config` makes options from the fields of a configuration; the docstring of its class is their
help.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from platformdirs import user_data_path

import retrieval
from retrieval.cli.console import note
from retrieval.runtime.model_choice import ModelChoice
from retrieval.search.search_request import RerankChoice

LIBRARY_VARIABLE = "TWINLENS_LIBRARY"

F = TypeVar("F", bound=Callable[..., Any])


_INSTRUCT = click.option(
    "--instruct",
    metavar="WORDS",
    default="",
    help='Instruction for the reranker: "only photos with snow", "no people".',
)


def default_library() -> Path:
    """Return the default path of the library: in the user's data folder."""
    return user_data_path("twinlens") / "library"


def with_library(function: F) -> F:
    """Add `--library`; the command takes `library: Path`."""
    return click.option(
        "--library",
        metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False),
        envvar=LIBRARY_VARIABLE,
        default=default_library,
        callback=lambda _ctx, _param, value: value.expanduser(),
        help=f"Folder of the library [default: ${LIBRARY_VARIABLE}, else your data folder].",
    )(function)


def _phase(name: str) -> AbstractContextManager[None]:
    """Show what takes its time; rich is imported for it alone."""
    from retrieval.cli.progress import phase

    return phase(name)


def with_model(default: str) -> Callable[[F], Callable[..., Any]]:
    """Add `--model` and `--device`; the command takes `model: ModelChoice`."""

    def decorate(function: F) -> Callable[..., Any]:
        @click.option(
            "--model",
            metavar="SPEC",
            help="Model to use: a name of `twinlens models`, a folder from `twinlens train`, an "
            f"open_clip ARCH/TAG, or hf-hub:ORG/NAME [default: {default}].",
        )
        @click.option(
            "--device",
            metavar="NAME",
            default="auto",
            show_default=True,
            help="Where the model runs: auto, cpu, cuda or mps.",
        )
        @wraps(function)
        def wrapped(*, model: str | None, device: str, **others: Any) -> Any:
            choice = ModelChoice(spec=model, device=device, note=note, phase=_phase)
            return function(model=choice, **others)

        return wrapped

    return decorate


def with_reranking(*, instruct: bool) -> Callable[[F], Callable[..., Any]]:
    """Add `--rerank`, `--reranker` and maybe `--instruct`; the command takes `reranking`."""

    def decorate(function: F) -> Callable[..., Any]:
        @click.option(
            "--rerank/--no-rerank",
            default=None,
            help="Score the first 50 candidates again with a reranker [default: for the kinds of "
            "search that it improves].",
        )
        @click.option(
            "--reranker",
            metavar="SPEC",
            help="Reranker to use: builtin, a folder from `twinlens train-reranker`, or a model of "
            "Transformers [default: builtin].",
        )
        @wraps(function)
        def wrapped(
            *, rerank: bool | None, reranker: str | None, instruct: str = "", **others: Any
        ) -> Any:
            choice = RerankChoice(wanted=rerank, spec=reranker, instruct=instruct)
            return function(reranking=choice, **others)

        return _INSTRUCT(wrapped) if instruct else wrapped

    return decorate


def with_hubness(function: F) -> F:
    """Add `--hubness/--no-hubness`; the command takes `hubness: bool`."""
    return click.option(
        "--hubness/--no-hubness",
        default=True,
        show_default=True,
        help="Correct the scores of hubs: photos and texts that are near to almost every query. "
        "Applies to searches between words and photos.",
    )(function)


def with_patience(function: F) -> Callable[..., Any]:
    """Add `--no-wait`; the command takes `patience: Patience`."""

    @click.option(
        "--no-wait",
        is_flag=True,
        help="If another process is writing to the library, end with code 12 instead of waiting.",
    )
    @wraps(function)
    def wrapped(*, no_wait: bool, **others: Any) -> Any:
        seconds = 0.0 if no_wait else math.inf
        return function(patience=retrieval.LockTimeout(seconds=seconds, tell=note), **others)

    return wrapped


def with_one_of(
    parameter: str, flags: Sequence[tuple[tuple[str, ...], str, str]]
) -> Callable[[F], Callable[..., Any]]:
    """Add flags of which only one may be given; the command takes its value, or None.

    Args:
        parameter: under which the command takes it.
        flags: the names of each, its value, and its help.
    """
    keys = {f"{parameter}_{value}": (names, value) for names, value, _ in flags}

    def decorate(function: F) -> Callable[..., Any]:
        @wraps(function)
        def wrapped(**values: Any) -> Any:
            given = [keys[key] for key in keys if values.pop(key)]
            if len(given) > 1:
                named = " and ".join(names[-1] for names, _ in given)
                raise click.UsageError(f"{named} exclude each other; give one of them")
            return function(**{parameter: given[0][1] if given else None}, **values)

        command: Callable[..., Any] = wrapped
        for names, value, help_ in reversed(flags):
            option = click.option(*names, f"{parameter}_{value}", is_flag=True, help=help_)
            command = option(command)
        return command

    return decorate


def with_json(function: F) -> F:
    """Add `--json`; the command takes `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def example(*lines: str) -> str:
    """Lay out the example that ends each `--help`."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def documented(config: type[Any]) -> dict[str, str]:
    """Read the help of each field from the docstring of its class; it begins with a capital."""
    found = re.findall(
        r"^    (\w+): (.*(?:\n        .*)*)", inspect.getdoc(config) or "", flags=re.MULTILINE
    )
    sentences = {name: " ".join(text.split()).rstrip(".") + "." for name, text in found}
    return {name: text[0].upper() + text[1:] for name, text in sentences.items()}


def option(field: dataclasses.Field[Any], hint: Any, text: str) -> Callable[[Any], Any]:
    """Make the option of one field. Its default is None: what is not given is not overridden."""
    name = "--" + field.name.replace("_", "-")
    default = field.default
    shown = (
        f" [default: {default}]" if isinstance(default, int | float | str) and default != "" else ""
    )
    if hint is bool:
        return click.option(f"{name}/--no-{name[2:]}", default=None, help=text)
    if str(hint).startswith("tuple"):
        return click.option(name, multiple=True, metavar="SPEC", help=text)
    kind: Any = next((arg for arg in get_args(hint) if arg is not type(None)), hint)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        kind = click.Choice([choice.value for choice in kind])
    return click.option(name, type=kind, default=None, help=text + shown)

"""Options that several commands share. Each decorator hands its command one value."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from platformdirs import user_data_path

import retrieval
from indexer.core.types import readable
from retrieval.cli.console import note

if TYPE_CHECKING:
    from retrieval import Encoder, Reranker

LIBRARY_VARIABLE = "TWINLENS_LIBRARY"

F = TypeVar("F", bound=Callable[..., Any])


def default_library() -> Path:
    """Return where the library is if no one says so: the user's data folder."""
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


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Which model was asked for, if any, and where it runs."""

    spec: str | None
    device: str

    def load(self, default: str = "builtin") -> Encoder:
        """Load the model that was asked for, else `default`, in torch."""
        return retrieval.load_encoder(self._named(default), self.device)

    def quick(self, default: str = "builtin", *, few: bool = False) -> Encoder:
        """Return the quickest encoder for it; with `few`, for a query alone."""
        spec = self._named(default)
        return retrieval.quick_encoder(spec, self.device, few=few, note=note, phase=_phase)

    def _named(self, default: str) -> str:
        """Return the spec, and say so where loading it may take a while."""
        from retrieval.models.model_catalog import spec_of  # takes in numpy

        spec = spec_of(self.spec or default)
        if "/" in spec and not Path(spec).expanduser().exists():
            note(f"loading {spec}")
        return spec


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
            help="A name of `twinlens models`, a folder from `twinlens train`, ARCH/TAG of "
            f"open_clip, or hf-hub:ORG/NAME [default: {default}].",
        )
        @click.option(
            "--device",
            metavar="NAME",
            default="auto",
            show_default=True,
            help="auto, cpu, cuda or mps.",
        )
        @wraps(function)
        def wrapped(*, model: str | None, device: str, **others: Any) -> Any:
            return function(model=ModelChoice(spec=model, device=device), **others)

        return wrapped

    return decorate


@dataclass(frozen=True, kw_only=True)
class Reranking:
    """Whether the first answers get a second look, by which reranker, and under what instruction.

    `wanted` is None where nothing was said: then the one that ships takes part where it can.
    """

    wanted: bool | None
    spec: str | None
    instruct: str

    @property
    def asked(self) -> bool:
        """Tell whether a reranker was asked for."""
        return self.wanted is True or (self.spec is not None and self.wanted is None)

    def takes_part(self, usual: float) -> bool:
        """Tell whether there is a second look; `usual` is its weight where nothing is said."""
        if self.spec or self.instruct or self.wanted is not None:
            return self.wanted is not False or bool(self.instruct)
        return usual > 0

    @property
    def needs_torch(self) -> bool:
        """Tell whether it needs torch: for an instruction, and if it is one of transformers."""
        return retrieval.reranker_needs_torch(
            self.spec or "builtin", instructed=bool(self.instruct)
        )

    def require(self, encoder: Encoder) -> Reranker:
        """Load the reranker that was named, else the one that ships."""
        reranker: Reranker = retrieval.load_reranker(self.spec or "builtin", encoder)
        return reranker

    def load(self, encoder: Encoder) -> Reranker | None:
        """Load the reranker, if one takes part."""
        if self.wanted is False:
            if self.instruct:
                raise click.UsageError("--instruct is for the reranker; leave out --no-rerank")
            return None
        if self.spec:
            return retrieval.load_reranker(self.spec, encoder, instructed=bool(self.instruct))
        found = retrieval.default_reranker(encoder, instructed=bool(self.instruct))
        if found is None and (self.wanted or self.instruct):
            raise click.UsageError(
                f"no reranker ships for the model {encoder.name}; name one with --reranker"
            )
        return found


def with_reranking(*, instruct: bool) -> Callable[[F], Callable[..., Any]]:
    """Add `--rerank`, `--reranker` and maybe `--instruct`; the command takes `reranking`."""

    def decorate(function: F) -> Callable[..., Any]:
        @click.option(
            "--rerank/--no-rerank",
            default=None,
            help="Look twice at the first answers [default: where the reranker gains].",
        )
        @click.option(
            "--reranker",
            metavar="SPEC",
            help="builtin, a folder from `twinlens train-reranker`, or a model of transformers.",
        )
        @wraps(function)
        def wrapped(
            *, rerank: bool | None, reranker: str | None, instruct: str = "", **others: Any
        ) -> Any:
            wish = " ".join(readable(instruct).split())
            choice = Reranking(wanted=rerank, spec=reranker, instruct=wish)
            return function(reranking=choice, **others)

        return _INSTRUCT(wrapped) if instruct else wrapped

    return decorate


_INSTRUCT = click.option(
    "--instruct",
    metavar="WORDS",
    default="",
    help='What the answers shall be like: "only photos with snow", "no people".',
)


def with_hubness(function: F) -> F:
    """Add `--hubness/--no-hubness`; the command takes `hubness: bool`."""
    return click.option(
        "--hubness/--no-hubness",
        default=True,
        show_default=True,
        help="Hold back what is near to every query, from words to photos and back.",
    )(function)


def with_patience(function: F) -> Callable[..., Any]:
    """Add `--no-wait`; the command takes `patience: Patience`."""

    @click.option(
        "--no-wait",
        is_flag=True,
        help="End with code 12 if another process is writing, instead of waiting for it.",
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

"""`twinlens learn`: learn a name from a few photos, for use in queries."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.table import Table
from rich.text import Text

import retrieval
from retrieval.cli.console import list_skipped, note, printable
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_json, with_library, with_model
from retrieval.cli.progress import progress
from retrieval.cli.terminal import terminal
from retrieval.runtime.model_choice import ModelChoice

if TYPE_CHECKING:
    from retrieval import Concept, LearnedConcept, Library

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class LearnRequest:
    """The request: a name to learn or to delete, or the list of all names."""

    name: str
    photos: tuple[Path, ...]
    like: str
    seed: int
    listed: bool
    forget: str | None

    def check(self) -> None:
        """Refuse arguments that do not go together, or are missing.

        Raises:
            click.UsageError: says which.
        """
        asides = self.listed + (self.forget is not None)
        if asides > 1 or (asides and (self.name or self.photos)):
            raise click.UsageError("use --list and --forget alone, without NAME and PHOTO")
        if not asides and not self.photos:
            raise click.UsageError(
                "give a NAME and photos of it, e.g. twinlens learn Rex rex/*.jpg"
            )


def with_request(function: F) -> Callable[..., Any]:
    """Add what can be asked for; the command takes `request: Request`."""

    @click.argument("name", required=False, default="")
    @click.argument("photos", nargs=-1, metavar="PHOTO...", type=click.Path(path_type=Path))
    @click.option(
        "--like",
        metavar="WORD",
        default="",
        help="General word for what the photos show, such as dog [default: the word that fits "
        "them best].",
    )
    @click.option(
        "--seed",
        metavar="N",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Seed of the random choices. The same seed gives the same result.",
    )
    @click.option("--list", "listed", is_flag=True, help="List the learned names.")
    @click.option("--forget", metavar="NAME", help="Delete a learned name.")
    @wraps(function)
    def wrapped(
        *, name: str, photos: tuple[Path, ...], like: str, seed: int, listed: bool, **others: Any
    ) -> Any:
        forget: str | None = others.pop("forget")
        request = LearnRequest(
            name=name, photos=photos, like=like, seed=seed, listed=listed, forget=forget
        )
        return function(request=request, **others)

    return wrapped


@click.command(
    epilog=example(
        "twinlens learn Rex rex/*.jpg --like dog",
        'twinlens search "Rex on a beach"',
    )
)
@with_request
@with_library
@with_model("the library's own")
@with_json
def command(request: LearnRequest, library: Path, model: ModelChoice, as_json: bool) -> int:
    """Learn a name from about five photos.

    PHOTO is a photo or a folder of photos. Afterwards you can use NAME in any query to this
    library. The model does not change, and queries without NAME find the same as before. If
    NAME is already learned, it is replaced.
    """
    request.check()
    with retrieval.Library.open(library) as opened:
        if request.listed:
            return _show(opened, as_json)
        if request.forget is not None:
            retrieval.Concepts(opened.folder).forget(request.forget)
            note(f"forgot '{request.forget}'")
            return ExitCode.DONE
        learned = _learn(opened, request, model)
    list_skipped(learned.skipped)
    click.echo(json.dumps(_as_json(learned)) if as_json else printable(_sentence(learned)))
    return ExitCode.SKIPPED if learned.skipped else ExitCode.DONE


def _learn(opened: Library, request: LearnRequest, model: ModelChoice) -> LearnedConcept:
    """Learn the name that was asked for."""
    encoder = model.quick(opened.model)
    options = retrieval.LearnOptions(like=request.like, seed=request.seed)
    with progress("learning", "steps") as report:
        return retrieval.learn_concept(
            opened, encoder, request.name, request.photos, options, report
        )


def _show(opened: Library, as_json: bool) -> int:
    """List the names of a library."""
    concepts, skipped = retrieval.Concepts(opened.folder).read()
    list_skipped(skipped)
    if as_json:
        for concept in concepts:
            click.echo(json.dumps({**_facts(concept), "usable": _usable(concept, opened)}))
    elif concepts:
        terminal().print(_table(concepts, opened))
    else:
        note("no learned names yet; learn one with: twinlens learn NAME PHOTO...")
    if skipped:
        return ExitCode.SKIPPED
    return ExitCode.DONE if concepts else ExitCode.NOTHING


def _usable(concept: Concept, opened: Library) -> bool:
    """Return whether a name was learned for the library's model."""
    return concept.fingerprint == opened.fingerprint


def _facts(concept: Concept) -> dict[str, object]:
    """Return what is known of a name as plain values."""
    return {
        "name": concept.name,
        "like": concept.like,
        "photos": concept.photos,
        "tokens": len(concept.tokens),
        "model": concept.model,
    }


def _as_json(learned: LearnedConcept) -> dict[str, object]:
    """Return what was done as plain values."""
    return {
        **_facts(learned.concept),
        "replaced": learned.replaced,
        "skipped": [{"path": str(skip.path), "reason": skip.reason} for skip in learned.skipped],
        "seconds": round(learned.seconds, 2),
    }


def _sentence(learned: LearnedConcept) -> str:
    """Say in one line what was done."""
    concept = learned.concept
    again = "learned again" if learned.replaced else "learned"
    photos = f"{concept.photos} photo{'s' if concept.photos > 1 else ''}"
    return (
        f"{again} '{concept.name}', like '{concept.like}', from {photos} in {learned.seconds:.1f} s"
    )


def _table(concepts: list[Concept], opened: Library) -> Table:
    """Lay out the names for a person."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for heading in ("name", "like", "photos", ""):
        table.add_column(heading, overflow="fold")
    for concept in concepts:
        state = "" if _usable(concept, opened) else "of another model; learn it again"
        row = (concept.name, concept.like, str(concept.photos), state)
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table

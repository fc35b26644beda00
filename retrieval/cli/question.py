"""The question of a search: its options, and the hits that answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import retrieval
from indexer.types import Kind
from retrieval.choices import ENSEMBLE
from retrieval.cli.console import note
from retrieval.cli.hits import percent
from retrieval.cli.options import ModelChoice, with_hubness, with_library, with_model

if TYPE_CHECKING:
    from retrieval import Hit, Query

F = TypeVar("F", bound=Callable[..., Any])

KINDS = {"photos": Kind.PHOTO, "texts": Kind.TEXT}


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How answers are scored: with the correction for hubs, names asked for by sentences."""

    hubness: bool
    ensemble: bool


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is looked for, where, and what counts as found; `threshold` None is the default."""

    query: Query
    library: Path
    model: ModelChoice
    kind: Kind
    top: int
    threshold: float | None
    scoring: Scoring

    def answers(self) -> list[Hit]:
        """Search, and say on stderr what a person should know about the answers."""
        note(self.query.hint)
        with retrieval.Library.open(self.library) as opened:
            if not opened.counts()[self.kind]:
                note(f"the library has no {self.kind}s; add some with: twinlens index FOLDER")
                return []
            searcher = retrieval.Searcher(opened, self.model.load(opened.model))
            note(searcher.hint(self.query))
            hits = searcher.search(
                self.query,
                kind=self.kind,
                top=self.top,
                hubness=self.scoring.hubness,
                ensemble=self.scoring.ensemble,
            )
        return self._likely(hits)

    def _likely(self, hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits that are likely enough, and tell about the others."""
        least = self.threshold
        if least is None:
            least = retrieval.default_threshold(self.query.kind, self.kind)
        likely = [hit for hit in hits if hit.match is None or hit.match >= least]
        left_out = len(hits) - len(likely)
        if likely and left_out:
            note(f"{left_out} more are no match; show them with --threshold 0")
        elif left_out:
            note(_nothing(hits[0], least))
        return likely


def _nothing(nearest: Hit, least: float) -> str:
    """Say that nothing matches, and what came nearest."""
    what = f'"{nearest.text}" in {nearest.path}' if nearest.text else str(nearest.path)
    return (
        f"nothing matches. The nearest is {what}: a match with {percent(nearest.match)}, and "
        f"{percent(least)} is the least that counts; show it with --threshold 0"
    )


def with_question(function: F) -> Callable[..., Any]:
    """Add QUERY and the options of a search; the command takes `question: Question`."""

    @click.argument("query", nargs=-1, required=True, metavar="QUERY...")
    @with_library
    @click.option(
        "-t",
        "--top",
        metavar="N",
        type=click.IntRange(min=1),
        default=10,
        show_default=True,
        help="How many to find.",
    )
    @click.option(
        "--for",
        "kind",
        type=click.Choice(list(KINDS)),
        default="photos",
        show_default=True,
        callback=lambda _ctx, _param, value: KINDS[value],
        help="What to find.",
    )
    @click.option(
        "--threshold",
        metavar="P",
        type=click.FloatRange(min=0, max=1),
        help="Leave out what matches less likely than P, from 0 to 1; 0 shows all "
        "[default: what loses one right answer in twenty].",
    )
    @with_scoring
    @with_model("the library's own")
    @wraps(function)
    def wrapped(  # noqa: PLR0913 - one an option
        *,
        query: tuple[str, ...],
        library: Path,
        model: ModelChoice,
        kind: Kind,
        top: int,
        threshold: float | None,
        scoring: Scoring,
        **others: Any,
    ) -> Any:
        question = Question(
            query=retrieval.parse_query(*query),
            library=library,
            model=model,
            kind=kind,
            top=top,
            threshold=threshold,
            scoring=scoring,
        )
        return function(question=question, **others)

    return wrapped


def with_scoring(function: F) -> Callable[..., Any]:
    """Add `--hubness` and `--ensemble`; the command takes `scoring: Scoring`."""

    @with_hubness
    @click.option(
        "--ensemble/--no-ensemble",
        default=ENSEMBLE,
        show_default=True,
        help="Ask for photos of a bare name by several sentences about it.",
    )
    @wraps(function)
    def wrapped(*, hubness: bool, ensemble: bool, **others: Any) -> Any:
        return function(scoring=Scoring(hubness=hubness, ensemble=ensemble), **others)

    return wrapped

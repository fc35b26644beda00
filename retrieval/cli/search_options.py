"""The question of a search: its options, and the hits that answer it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import retrieval
from indexer.core.types import Kind
from retrieval._enums import ENSEMBLE, SortOrder
from retrieval._extras import require_torch
from retrieval.cli.console import note
from retrieval.cli.filter_options import Filters, with_filters
from retrieval.cli.options import (
    ModelChoice,
    Reranking,
    with_hubness,
    with_library,
    with_model,
    with_reranking,
)
from retrieval.cli.output import percent

if TYPE_CHECKING:
    from retrieval import Answers, Encoder, Hit, Library, Page, Query, Reranker

F = TypeVar("F", bound=Callable[..., Any])

_NEGATED = re.compile(r"-[a-z][a-z-]+:", re.IGNORECASE)
_TAKEN = re.compile(r"-\s+(?=\S)")  # "- people" in one piece
_JOINED = re.compile(r"-([^\W\d_]{3,})")  # "-people": no three short options make a word

KINDS = {"photos": Kind.PHOTO, "texts": Kind.TEXT}


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How answers are scored: hubs held back, names asked for by sentences, words looked up."""

    hubness: bool
    ensemble: bool
    words: bool


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is looked for, where, and what is shown; `threshold` None shows what is asked for."""

    query: Query
    library: Path
    model: ModelChoice
    kind: Kind
    page: Page
    frames: bool
    threshold: float | None
    scoring: Scoring
    reranking: Reranking

    def answers(self) -> list[Hit]:
        """Search, and say on stderr what a person should know about the answers."""
        for told in (*self.query.notes, self.query.hint):
            note(told)
        with retrieval.Library.open(self.library) as opened:
            if not opened.counts()[self.kind]:
                note(f"the library has no {self.kind}s; add some with: twinlens index FOLDER")
                return []
            encoder, reranker = self._models(opened)
            searcher = retrieval.Searcher(opened, encoder, reranker, note)
            note(searcher.hint(self.query))
            answers = searcher.answer(
                self.query,
                kind=self.kind,
                page=self.page,
                least=self.threshold,
                frames=self.frames,
                hubness=self.scoring.hubness,
                ensemble=self.scoring.ensemble,
                words=self.scoring.words,
                instruct=self.reranking.instruct,
            )
            doubt = [searcher.unread(self.query), searcher.doubt(self.query, self.kind)]
        self._tell(answers)
        for told in doubt:
            note(told)
        return answers.hits

    def _models(self, library: Library) -> tuple[Encoder, Reranker | None]:
        """Load the models: the quickest that will do."""
        fusion = retrieval.default_fusion(library.fingerprint)
        usual = fusion.weight(query=self.query.kind, item=self.kind)
        if self.query.is_filter or not self.reranking.takes_part(usual):
            return self.model.quick(library.model, few=True), None
        if self.reranking.needs_torch:
            require_torch(f"the reranker '{self.reranking.spec}'")
            encoder = self.model.load(library.model)
        else:
            encoder = self.model.quick(library.model, few=True)
        return encoder, self.reranking.load(encoder)

    def _tell(self, answers: Answers) -> None:
        """Say what a person should know about the answers."""
        room = (self.page.top or len(answers.hits) + answers.left_out) - len(answers.hits)
        if answers.hits and (left_out := min(room, answers.left_out)):
            note(f"{left_out:,} more are no match; show them with --threshold 0")
        elif not answers.hits:
            note(self._nothing(answers))

    def _nothing(self, answers: Answers) -> str:
        """Say why there is no hit on this page."""
        if answers.found and answers.matching:
            return f"nothing more matches beyond the first {answers.matching:,}"
        if answers.nearest is not None:
            return _nearest(answers.nearest)
        if self.query.where is not None:
            return f"nothing matches: no {self.kind} passes the filters {self.query.filters}"
        return "nothing matches"


def _nearest(hit: Hit) -> str:
    """Say that nothing matches, and what came nearest."""
    what = f'"{hit.text}" in {hit.path}' if hit.text else hit.where
    likely = "" if hit.match is None else f", a match with {percent(hit.match)}"
    return f"nothing matches. The nearest is {what}{likely}; show it with --threshold 0"


class SearchRequest(click.Command):
    """A command whose query may hold a minus: "-tag:work" and "- people" are no options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put such filters behind all options, and part such a minus from its words."""
        at = args.index("--") if "--" in args else len(args)
        negated: list[str] = []
        options: list[str] = []
        for before, each in zip(["", *args], args[:at], strict=False):
            if before in self._named(flags=False):  # the value of an option
                options.append(each)
            elif _NEGATED.match(each):
                negated.append(each)
            elif taken := _TAKEN.match(each):
                options += ["-", each[taken.end() :]]
            else:
                self._check(ctx, each)
                options.append(each)
        words = [*negated, *args[at + 1 :]]
        return super().parse_args(ctx, [*options, "--", *words] if words else options)

    def _named(self, *, flags: bool) -> set[str]:
        """Return the names of the options that are flags, or of those that take a value."""
        options = (each for each in self.params if isinstance(each, click.Option))
        return {name for each in options if each.is_flag == flags for name in each.opts}

    def _check(self, ctx: click.Context, written: str) -> None:
        """Refuse a word with a minus at once before it: neither an option nor taken away."""
        joined = _JOINED.match(written)
        if joined is None:
            return
        known = f"-{joined[0]}" in self._named(flags=True) | self._named(flags=False)
        meant = f"did you mean -{joined[0]}?" if known else f"to push it down write: - {joined[1]}"
        ctx.fail(f"No such option '{written}'; {meant}")


def with_question(function: F) -> Callable[..., Any]:
    """Add QUERY and the options of a search; the command takes `question: Question`."""

    @click.argument("query", nargs=-1, metavar="[QUERY]...")
    @with_library
    @with_page
    @with_filters
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
        help="Show hits that match with probability P or more; 0 shows all "
        "[default: as many as asked for, if anything matches]",
    )
    @with_reranking(instruct=True)
    @with_scoring
    @with_model("the library's own")
    @wraps(function)
    def wrapped(  # noqa: PLR0913 - one a group of options
        *,
        query: tuple[str, ...],
        filters: Filters,
        library: Path,
        model: ModelChoice,
        kind: Kind,
        page: Page,
        frames: bool,
        threshold: float | None,
        scoring: Scoring,
        reranking: Reranking,
        **others: Any,
    ) -> Any:
        question = Question(
            query=retrieval.parse_query(*query, filters=filters),
            library=library,
            model=model,
            kind=kind,
            page=page,
            frames=frames,
            threshold=threshold,
            scoring=scoring,
            reranking=reranking,
        )
        return function(question=question, **others)

    return wrapped


def with_scoring(function: F) -> Callable[..., Any]:
    """Add `--hubness`, `--ensemble` and `--words`; the command takes `scoring: Scoring`."""

    @with_hubness
    @click.option(
        "--ensemble/--no-ensemble",
        default=ENSEMBLE,
        show_default=True,
        help="Ask for photos of a bare name by several sentences about it.",
    )
    @click.option(
        "--words/--no-words",
        default=True,
        show_default=True,
        help="Put forward whose captions, keywords, file, folder or place names share words.",
    )
    @wraps(function)
    def wrapped(*, hubness: bool, ensemble: bool, words: bool, **others: Any) -> Any:
        scoring = Scoring(hubness=hubness, ensemble=ensemble, words=words)
        return function(scoring=scoring, **others)

    return wrapped


def with_page(function: F) -> Callable[..., Any]:
    """Add `--top`, `--page`, `--offset`, `--sort`, `--frames`.

    The command takes `page: Page` and `frames: bool`.
    """

    @click.option(
        "-t",
        "--top",
        metavar="N",
        type=click.IntRange(min=0),
        default=10,
        show_default=True,
        help="How many to find; 0 for all.",
    )
    @click.option(
        "--page",
        "number",
        metavar="N",
        type=click.IntRange(min=1),
        default=1,
        help="Show the N-th so many, from 1.",
    )
    @click.option(
        "--offset",
        metavar="N",
        type=click.IntRange(min=0),
        default=0,
        help="Pass over the N best.",
    )
    @click.option(
        "--sort",
        type=click.Choice([each.value for each in SortOrder]),
        default=SortOrder.SCORE.value,
        show_default=True,
        callback=lambda _ctx, _param, value: SortOrder(value),
        help="The order in which they are shown.",
    )
    @click.option("--frames", is_flag=True, help="Show all frames of a video that match, not one.")
    @wraps(function)
    def wrapped(
        *, top: int, number: int, offset: int, sort: SortOrder, frames: bool, **others: Any
    ) -> Any:
        page = retrieval.Page(top=top, offset=offset + (number - 1) * top, sort=sort)
        return function(page=page, frames=frames, **others)

    return wrapped

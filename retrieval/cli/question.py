"""The question of a search: its options, and the hits that answer it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import retrieval
from indexer.types import Kind
from retrieval.choices import ENSEMBLE, POOL, Sort
from retrieval.cli.console import note
from retrieval.cli.filters import Filters, with_filters
from retrieval.cli.hits import percent
from retrieval.cli.options import (
    ModelChoice,
    Reranking,
    with_hubness,
    with_library,
    with_model,
    with_reranking,
)

if TYPE_CHECKING:
    from retrieval import Encoder, Hit, Library, Query, Reranker

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
class Page:
    """Which hits are shown: `top` of them (0 for all) after the first `offset`, in an order.

    A video has one hit, or with `frames` as many as match.
    """

    top: int
    offset: int
    sort: Sort
    frames: bool

    @property
    def reach(self) -> int:
        """How many hits are looked at; 0 for all. What is no match among them makes room."""
        return max(self.offset + self.top, POOL) if self.top else 0

    def of(self, hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits of this page, best or newest first, with their ranks among these."""
        end = self.offset + self.top if self.top else None
        page = [replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1)]
        page = page[self.offset : end]
        if self.sort == Sort.SCORE:
            return page
        return retrieval.newest_first(page, self.offset)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is looked for, where, and what counts as found; `threshold` None is the default."""

    query: Query
    library: Path
    model: ModelChoice
    kind: Kind
    page: Page
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
            hits = searcher.search(
                self.query,
                kind=self.kind,
                top=self.page.reach,
                frames=self.page.frames,
                hubness=self.scoring.hubness,
                ensemble=self.scoring.ensemble,
                words=self.scoring.words,
                instruct=self.reranking.instruct,
            )
            doubt = [searcher.unread(self.query), searcher.doubt(self.query, self.kind)]
        shown = self._shown(hits)
        for told in doubt:
            note(told)
        return shown

    def _models(self, library: Library) -> tuple[Encoder, Reranker | None]:
        """Load the models: the quickest that will do."""
        fusion = retrieval.default_fusion(library.fingerprint)
        usual = fusion.weight(query=self.query.kind, item=self.kind)
        if self.query.is_filter or not self.reranking.takes_part(usual):
            return self.model.quick(library.model, few=True), None
        if self.reranking.needs_torch:
            encoder = self.model.load(library.model)
        else:
            encoder = self.model.quick(library.model, few=True)
        return encoder, self.reranking.load(encoder)

    def _shown(self, hits: Sequence[Hit]) -> list[Hit]:
        """Return a page of the hits that are likely enough, and tell about the others."""
        least = self.threshold
        if least is None:
            least = retrieval.default_threshold(self.query.kind, self.kind)
        likely = [hit for hit in hits if hit.worded or hit.match is None or hit.match >= least]
        page = self.page.of(likely)
        room = (self.page.top or len(hits)) - len(page)
        left_out = min(room, len(hits) - len(likely))
        if page and left_out:
            note(f"{left_out} more are no match; show them with --threshold 0")
        elif hits and not likely:
            note(_nothing(hits[0], least))
        elif not page:
            note(self._none(len(likely)))
        return page

    def _none(self, likely: int) -> str:
        """Say why there is no hit at all on this page."""
        if likely:
            return f"nothing more matches beyond the first {likely:,}"
        if self.query.where is not None:
            return f"nothing matches: no {self.kind} passes the filters {self.query.filters}"
        return "nothing matches"


def _nothing(nearest: Hit, least: float) -> str:
    """Say that nothing matches, and what came nearest."""
    what = f'"{nearest.text}" in {nearest.path}' if nearest.text else nearest.where
    return (
        f"nothing matches. The nearest is {what}: a match with {percent(nearest.match)}, and "
        f"{percent(least)} is the least that counts; show it with --threshold 0"
    )


class Asking(click.Command):
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
        help="Leave out what matches less likely than P, from 0 to 1; 0 shows all "
        "[default: what loses one right answer in twenty].",
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
    """Add `--top`, `--page`, `--offset`, `--sort`, `--frames`; the command takes `page: Page`."""

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
        type=click.Choice([each.value for each in Sort]),
        default=Sort.SCORE.value,
        show_default=True,
        callback=lambda _ctx, _param, value: Sort(value),
        help="The order in which they are shown.",
    )
    @click.option("--frames", is_flag=True, help="Show all frames of a video that match, not one.")
    @wraps(function)
    def wrapped(
        *, top: int, number: int, offset: int, sort: Sort, frames: bool, **others: Any
    ) -> Any:
        page = Page(top=top, offset=offset + (number - 1) * top, sort=sort, frames=frames)
        return function(page=page, **others)

    return wrapped

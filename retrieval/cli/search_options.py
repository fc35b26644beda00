"""The options of a search, filters among them, and what a person is told about its hits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

import retrieval
from indexer.core.types import Kind
from retrieval import search
from retrieval._enums import ENSEMBLE, SortOrder
from retrieval.cli.console import note
from retrieval.cli.options import with_hubness, with_library, with_model, with_reranking
from retrieval.errors import RerankerMissing
from retrieval.runtime.model_choice import ModelChoice
from retrieval.search.search_request import Page, RerankChoice, Scoring, SearchRequest

if TYPE_CHECKING:
    from retrieval.search import SearchResults

F = TypeVar("F", bound=Callable[..., Any])

_NEGATED = re.compile(r"-[a-z][a-z-]+:", re.IGNORECASE)
_TAKEN = re.compile(r"-\s+(?=\S)")  # "- people" in one piece
_JOINED = re.compile(r"-([^\W\d_]{3,})")  # "-people": no three short options make a word

KINDS = {"photos": Kind.PHOTO, "texts": Kind.TEXT}


Filters: TypeAlias = list[tuple[str, str]]
"""Names and values, as `retrieval.parse_query` takes them."""

_OPTIONS = (
    ("after", "DATE", "Taken on DATE or later: 2019, 2019-07 or 2019-07-14."),
    ("before", "DATE", "Taken before DATE."),
    (
        "near",
        "PLACE",
        'Taken near PLACE: Rome, "Rome,5" (within 5 km) or "41.9,12.5,5"; or in a country: Italy.',
    ),
    ("camera", "NAME", "Taken with a camera that has these words in its name: x100."),
    ("in", "FOLDER", "In this folder: a path, or words of the folder's name."),
    ("tag", "WORD", "With this keyword. If repeated, with all of them."),
    ("text", "WORDS", "Showing these words, once `twinlens read` has read the photos."),
    ("type", "TYPE", "Of this file type: jpg, heic, png, raw or video."),
    ("orientation", "HOW", "In this orientation: landscape, portrait or square."),
    ("min-rating", "STARS", "Rated with STARS stars or more."),
)


@dataclass(frozen=True, kw_only=True)
class Question:
    """A request, the library that it goes to, and the model that was asked for."""

    request: SearchRequest
    library: Path
    model: ModelChoice

    def answers(self) -> SearchResults:
        """Search, and say on stderr what a person should know about the hits."""
        with retrieval.Library.open(self.library) as opened:
            models = retrieval.search.SearchModels(
                self.model, opened.model, opened.fingerprint, few=True
            )
            try:
                results = search.search_library(opened, models, self.request, note)
            except RerankerMissing as error:
                raise click.UsageError(str(error)) from error
        note(_shown_by(results))
        for doubt in results.doubts:
            note(doubt)
        return results


def _shown_by(results: SearchResults) -> str:
    """Say what the search says of its hits, and how to see what it holds back."""
    if not results and results.nearest is None:
        return results.message
    held_back = "them" if results else "it"
    return results.message and f"{results.message}; show {held_back} with --threshold 0"


class QueryCommand(click.Command):
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
        meant = f"did you mean -{joined[0]}?" if known else f"to remove it, write: - {joined[1]}"
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
        help="Show only hits whose match probability is P or more; 0 shows hits even if nothing "
        "matches [default: the --top best, or none if nothing matches].",
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
        reranking: RerankChoice,
        **others: Any,
    ) -> Any:
        request = SearchRequest(
            query=retrieval.parse_query(*query, filters=filters),
            kind=kind,
            page=page,
            frames=frames,
            threshold=threshold,
            scoring=scoring,
            reranking=reranking,
        )
        return function(question=Question(request=request, library=library, model=model), **others)

    return wrapped


def with_scoring(function: F) -> Callable[..., Any]:
    """Add `--hubness`, `--ensemble`, `--words`, `--language`.

    The command takes `scoring: Scoring`.
    """

    @with_hubness
    @click.option(
        "--ensemble/--no-ensemble",
        default=ENSEMBLE,
        show_default=True,
        help='Search for a bare name, such as "golden retriever", with several sentences about it.',
    )
    @click.option(
        "--words/--no-words",
        default=True,
        show_default=True,
        help="Also match words in captions, keywords, file names, folders and places.",
    )
    @click.option(
        "--language",
        metavar="CODE",
        default="",
        help="Language of the query, such as de, for models that must be told it (NLLB) "
        "[default: a guess from the words].",
    )
    @wraps(function)
    def wrapped(*, hubness: bool, ensemble: bool, words: bool, language: str, **others: Any) -> Any:
        scoring = Scoring(hubness=hubness, ensemble=ensemble, words=words, language=language)
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
        help="Number of hits to show; 0 shows all.",
    )
    @click.option(
        "--page",
        "number",
        metavar="N",
        type=click.IntRange(min=1),
        default=1,
        help="Show page N of the hits, counted from 1. A page holds --top hits.",
    )
    @click.option(
        "--offset",
        metavar="N",
        type=click.IntRange(min=0),
        default=0,
        help="Skip the N best hits.",
    )
    @click.option(
        "--sort",
        type=click.Choice([each.value for each in SortOrder]),
        default=SortOrder.SCORE.value,
        show_default=True,
        callback=lambda _ctx, _param, value: SortOrder(value),
        help="Order of the hits on a page: best, newest or oldest first.",
    )
    @click.option(
        "--frames",
        is_flag=True,
        help="Show every matching frame of a video, not only the best one.",
    )
    @wraps(function)
    def wrapped(
        *, top: int, number: int, offset: int, sort: SortOrder, frames: bool, **others: Any
    ) -> Any:
        page = Page(top=top, offset=offset + (number - 1) * top, sort=sort)
        return function(page=page, frames=frames, **others)

    return wrapped


def with_filters(function: F) -> Callable[..., Any]:
    """Add `--after`, `--near` and the others; the command takes `filters: Filters`."""

    @wraps(function)
    def wrapped(**values: Any) -> Any:
        given = {name: values.pop(_parameter(name)) for name, _, _ in _OPTIONS}
        filters = [(name, each) for name, some in given.items() for each in some]
        return function(filters=filters, **values)

    decorated: Callable[..., Any] = wrapped
    for name, metavar, help_ in reversed(_OPTIONS):
        option = click.option(
            f"--{name}", _parameter(name), metavar=metavar, multiple=True, help=help_
        )
        decorated = option(decorated)
    return decorated


def _parameter(name: str) -> str:
    """Name the Python parameter of an option: `in` is a word of Python's own."""
    return "within_" + name.replace("-", "_")

"""The search pipeline: query -> encode -> candidates (filters, BM25) -> records -> rerank stage."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from indexer.calibration.score_stats import FEWEST_QUERIES
from indexer.core.encoder import Encoder, ReleasableEncoder, TruncatingEncoder, Vectors
from indexer.core.filters import AllOf
from indexer.core.types import Candidate, Kind
from indexer.library.library import Library
from retrieval._enums import ENSEMBLE, POOL, SortOrder
from retrieval.concepts import reader_of
from retrieval.errors import ItemMissing
from retrieval.reranking import Reranker
from retrieval.search import prompt_ensemble
from retrieval.search.composed_query import (
    ComposedQuery,
    NegativeTerm,
    ScoreScale,
    candidates,
    joined,
    mixed,
    scores_of,
    shown_as,
    without,
)
from retrieval.search.hit import Hit, hits_of, with_match
from retrieval.search.lexical_fusion import NO_LIFTS, SHARED, distinctive, exact_match_boosts, fused
from retrieval.search.match_probability import MatchCalibrator, ScoreSample, lifted_to
from retrieval.search.page import Page
from retrieval.search.query import Query, Searchable, Term, parse_query
from retrieval.search.rerank_stage import Note, RerankStage, photo_of
from retrieval.search.results import SearchResults, calibrated
from retrieval.search.spell_hints import spelling, told_unread, unknown_words
from retrieval.search.stage_times import StageTimes
from retrieval.search.video_frames import one_a_video


@dataclass(frozen=True, kw_only=True)
class _Way:
    """How a search scores: see the arguments of `Searcher.search`."""

    kind: Kind
    hubness: bool
    ensemble: bool
    words: bool
    frames: bool
    times: StageTimes = field(default_factory=StageTimes)


class Searcher:
    """Finds photos and texts of one library, with the model that the library was built with.

    It reads the names that the library has learned so far (`learn_concept`).

    Args:
        library: to search in.
        encoder: the model.
        reranker: scores the first candidates again; None for the first stage only.
        note: receives messages for the person who searches.

    Raises:
        ModelMismatch: the encoder is another model than the library's.
    """

    def __init__(
        self,
        library: Library,
        encoder: Encoder,
        reranker: Reranker | None = None,
        note: Note = lambda _: None,
    ) -> None:
        library.check_model(encoder)
        self._library = library
        self._reader = reader_of(library, encoder)
        self._encoder = self._reader.encoder
        self._second = (
            RerankStage(library=library, reranker=reranker, size_hint=encoder.image_size, note=note)
            if reranker
            else None
        )

    def search(  # noqa: PLR0913 - a choice each
        self,
        query: Searchable | Query,
        *,
        kind: Kind = Kind.PHOTO,
        top: int = 10,
        offset: int = 0,
        sort: SortOrder = SortOrder.SCORE,
        hubness: bool = True,
        ensemble: bool = ENSEMBLE,
        words: bool = True,
        frames: bool = False,
        instruct: str = "",
    ) -> list[Hit]:
        """Return the best `top` photos (or texts) for words or a photo, best first.

        Filters are applied first: `top` hits come back whenever so many items pass. Without words
        and photo, all items that pass the filters are found, newest first.

        Args:
            query: words, a file, a picture, terms with signs, or what `parse_query` made of them.
            kind: what to find.
            top: number of hits; 0 for all.
            offset: number of best hits to skip: the pages before.
            sort: by date, the same hits are shown newest first.
            hubness: correct the scores of hubs, between words and photos; see
                `indexer.calibration.hubness`. If False, a score is the plain cosine.
            ensemble: search for photos of a bare name with several sentences about it.
            words: also match words in captions, keywords and names; see
                `retrieval.search.lexical_fusion`.
            frames: return every matching frame of a video, not only the best one.
            instruct: an instruction for the reranker, in words ("no people").

        Raises:
            QueryInvalid: the query is empty, its file cannot be read, or top or offset is below 0.
            ValueError: `kind` is neither a photo nor a text.
        """
        way = _Way(kind=Kind(kind), hubness=hubness, ensemble=ensemble, words=words, frames=frames)
        page = Page(top=top, offset=offset, sort=sort)
        asked = query if isinstance(query, Query) else parse_query(query)
        return page.of(self._ranked(asked, way, page.reach, instruct)[0])

    def answer(  # noqa: PLR0913 - a choice each
        self,
        query: Searchable | Query,
        *,
        kind: Kind = Kind.PHOTO,
        page: Page = Page(),  # noqa: B008 - frozen
        least: float | None = None,
        hubness: bool = True,
        ensemble: bool = ENSEMBLE,
        words: bool = True,
        frames: bool = False,
        instruct: str = "",
    ) -> SearchResults:
        """Search as `search` does, and say whether anything matches at all.

        Args:
            query: as for `search`, as are all arguments that are not listed here.
            kind: what to find.
            page: which hits are shown.
            least: smallest match probability of a hit, from 0 to 1. None shows what was asked for,
                if anything matches.
            hubness: correct the scores of hubs.
            ensemble: search for photos of a bare name with several sentences about it.
            words: also match words in captions, keywords and names.
            frames: return every matching frame of a video.
            instruct: an instruction for the reranker.

        Raises:
            QueryInvalid: as `search`.
            ValueError: `kind` is neither a photo nor a text.
        """
        way = _Way(kind=Kind(kind), hubness=hubness, ensemble=ensemble, words=words, frames=frames)
        asked = query if isinstance(query, Query) else parse_query(query)
        reach = max(page.reach, POOL) if page.top else 0
        hits, found = self._ranked(asked, way, reach, instruct)
        results = calibrated(hits, page, found=found, least=least, looked_for=reach)
        return replace(results, took_ms=way.times.milliseconds)

    def _ranked(self, query: Query, way: _Way, reach: int, instruct: str) -> tuple[list[Hit], bool]:
        """Return the best hits after both stages, and whether anything matches."""
        with way.times.of("encode"):
            encoded = self._encoded(query, way)
        second = self._second_look(query, way.kind, instruct)
        least = POOL if second else 0
        first = partial(self._first_stage, query, way, encoded, reach, least)
        hits, matching = self._library.view.at_one_commit(first)
        if query.is_filter or query.only_takes_away:
            return hits, True
        if second:
            with way.times.of("rerank"):
                hits = second.rescored(query, hits, way.kind, instruct)
        if matching is None or not hits:
            return hits, bool(hits)
        hits = with_match(hits, matching)
        called = any(hit.worded and hit.likely for hit in hits)
        return hits, called or matching.anything(max(hit.plain for hit in hits))

    def _first_stage(
        self, query: Query, way: _Way, encoded: Sequence[Vectors], reach: int, least: int
    ) -> tuple[list[Hit], MatchCalibrator | None]:
        """Return the best hits of the first stage, and what tells how likely they match.

        Args:
            query: what is looked for.
            way: how its answers are scored.
            encoded: its terms, see `_encoded`.
            reach: how many hits; 0 for all.
            least: how many at least, for the second stage.
        """
        wanted = reach or self._library.counts()[way.kind]
        if query.is_filter:
            return self._seen(partial(self._newest, query, way), way, wanted), None
        if query.only_takes_away:
            look = partial(self._without, query, way, encoded)
            return self._seen(look, way, wanted), None
        asked = self._ask(query, way, encoded)
        with way.times.of("calibrate"):
            matching = self._matching(asked, query, way.kind)
        look = partial(self._first_look, query, way, asked, matching)
        return self._seen(look, way, max(wanted, least)), matching

    def _seen(self, look: Callable[[int], list[Hit]], way: _Way, depth: int) -> list[Hit]:
        """Return the best hits, of each video one unless its frames are asked for."""
        with way.times.of("candidates"):
            return look(depth) if way.frames else one_a_video(look, depth)

    def hint(self, query: Query) -> str:
        """Say why a learned name in a query is read as a plain word; empty as a rule."""
        return self._reader.hint(query.text)

    def unread(self, query: Query) -> str:
        """Say which words of a query the model does not read, since it is too long; empty for none.

        Added terms are read as one phrase.
        """
        if not isinstance(self._encoder, TruncatingEncoder):
            return ""
        asked = [term.query for term in joined(query.terms)] or [query]
        return told_unread(self._encoder, [each.text for each in asked if each.text])

    def doubt(self, query: Query, kind: Kind = Kind.PHOTO) -> str:
        """Say which words of a query may be misspelt or not English; empty as a rule.

        In doubt is what the model has to cut into pieces, and the library's own words lack.
        """
        asked = [term.query for term in query.terms] or [query]
        text = " ".join(each.text for each in asked if each.path is None)
        if self._reader.reads_name(text):
            return ""
        unknown = unknown_words(self._encoder, text)
        return spelling([each for each in unknown if not self._library.worded(each, kind, 1)], text)

    def _first_look(
        self,
        query: Query,
        way: _Way,
        asked: ComposedQuery,
        matching: MatchCalibrator | None,
        depth: int,
    ) -> list[Hit]:
        """Find the best items by their vectors, and by words they share with the query."""
        if isinstance(self._encoder, ReleasableEncoder):
            self._encoder.rest()  # its memory is free for the vectors that are looked through
        found = candidates(
            self._library, asked, way.kind, depth, where=query.where, excluded=query.excluded
        )
        spoken = query.words if way.words else ""
        shared = self._library.worded(spoken, way.kind, SHARED, where=query.where)
        best = found[0].score if found else -math.inf
        lifted = NO_LIFTS
        if distinctive(shared) and matching is not None:
            lifted = self._lifts(asked, query, way.kind, lifted_to(matching, best))
        score = partial(scores_of, self._library, asked, way.kind)
        found = fused(found, shared, score, lifted)[:depth]
        return hits_of(found, self._library.records([each.id for each in found]), lifted)

    def _newest(self, query: Query, way: _Way, depth: int) -> list[Hit]:
        """Find what the filters let through, the newest first."""
        newest = self._library.catalog.newest(way.kind, query.where or AllOf(), depth)
        found = [Candidate(id=id_, score=0.0) for id_ in newest]
        return hits_of(found, self._library.records(newest))

    def _without(
        self, query: Query, way: _Way, encoded: Sequence[Vectors], depth: int
    ) -> list[Hit]:
        """Find the newest items that show nothing of what a query takes away.

        Where nobody can tell what unrelated items score, the items that show the least come first.
        """
        library = self._library
        newest = library.catalog.newest(
            way.kind, query.where or AllOf(), library.counts()[way.kind]
        )
        units = [self._unit(each.kind, way.kind, 0.0) for each in _asked_apart(query)]
        costs = [
            NegativeTerm(vector=vector[0], floor=unit.floor if unit else -1.0, weight=1.0)
            for vector, unit in zip(encoded, units, strict=True)
        ]
        found = without(library, costs, way.kind, newest, depth)
        return hits_of(found, library.records([each.id for each in found]))

    def _lifts(
        self, asked: ComposedQuery, query: Query, kind: Kind, target: float
    ) -> Mapping[int, float]:
        """Lift what has all the words nearly to a score, where a query asks in words alone."""
        if any(term.query.kind == Kind.PHOTO and term.weight > 0 for term in query.terms):
            return NO_LIFTS
        named = self._library.worded(query.words, kind, SHARED, where=query.where, every=True)
        score = partial(scores_of, self._library, replace(asked, taken=()), kind)
        return exact_match_boosts(named, score, target)

    def _second_look(self, query: Query, kind: Kind, instruct: str) -> RerankStage | None:
        """Return the second stage where it takes part; it cannot read learned names."""
        second = self._second
        if second is None or query.is_filter or query.only_takes_away:
            return None
        if self._reader.reads_name(query.text):
            return None
        return second if second.sees(query, kind, instruct) else None

    def _encoded(self, query: Query, way: _Way) -> list[Vectors]:
        """Embed each query that is asked apart, a name by its sentences. Shape (1, dim) each."""
        photos = way.ensemble and way.kind == Kind.PHOTO
        return [
            self._encode(each, named=photos and prompt_ensemble.is_name(each.text))
            for each in _asked_apart(query)
        ]

    def _ask(self, query: Query, way: _Way, encoded: Sequence[Vectors]) -> ComposedQuery:
        """Turn a query, of one term or several, into what the items are scored by."""
        terms = _terms_of(query)
        asked = [
            self._asked_by(term, way, vector) for term, vector in zip(terms, encoded, strict=True)
        ]
        return mixed(asked, [term.weight for term in terms]) if query.terms else asked[0]

    def _asked_by(self, term: Term, way: _Way, vector: Vectors) -> ComposedQuery:
        """Turn one term into what the items are scored by; what is taken away knows no hubs."""
        alpha = self._encoder.hubness.alpha(query=term.query.kind, item=way.kind)
        alpha = alpha if way.hubness and term.weight > 0 else 0.0
        unit = self._unit(term.query.kind, way.kind, alpha)
        return ComposedQuery(vector=vector, alpha=alpha, unit=unit)

    def _unit(self, query: Kind, item: Kind, alpha: float) -> ScoreScale | None:
        """Say what unrelated items score in this direction, where the library can tell."""
        moments = self._library.normalizer.moments(query, item)
        if moments is None or not moments.spread(alpha):
            return None
        return ScoreScale(mean=moments.mean(alpha), spread=moments.spread(alpha))

    def _matching(self, asked: ComposedQuery, query: Query, kind: Kind) -> MatchCalibrator | None:
        """Say how scores become probabilities, where the library can tell."""
        if asked.unit is None:
            return None
        library, alpha = self._library, asked.alpha
        seen, items = library.score_sample(asked.vector, kind, alpha=alpha, where=query.where)
        return MatchCalibrator(
            unit=asked.unit,
            own=self._own_unit(asked, kind) if query.kind != kind else None,
            here=ScoreSample.of(seen),
            query=query.kind,
            item=kind,
            items=max(1, items),
            text=query.words,
        )

    def _own_unit(self, asked: ComposedQuery, kind: Kind) -> ScoreScale | None:
        """Say what generic items score for this very question, if there are enough to tell."""
        scores = self._library.score_cohort(asked.vector, kind, alpha=asked.alpha)
        if len(scores) < FEWEST_QUERIES or not scores.std():
            return None
        return ScoreScale(mean=float(scores.mean()), spread=float(scores.std()))

    def _encode(self, query: Query, *, named: bool) -> Vectors:
        """Embed the query with the tower of its kind, a name by its sentences. Shape (1, dim)."""
        if query.item is not None:
            return self._stored(query.item)
        if query.kind == Kind.TEXT:
            encode = (
                partial(prompt_ensemble.ensemble, self._encoder)
                if named
                else self._encoder.encode_texts
            )
            return encode([query.text])
        return self._encoder.encode_images([photo_of(query, size_hint=self._encoder.image_size)])

    def _stored(self, item: int) -> Vectors:
        """Return the vector of a photo of the library, as it was stored. Shape (1, dim).

        Raises:
            ItemMissing: it is not there any more.
        """
        try:
            vector = self._library.fetch([item], Kind.PHOTO).astype(np.float32)
        except KeyError as error:
            raise ItemMissing(f"the library has no photo {item}; search for it again") from error
        unit: Vectors = vector / np.linalg.norm(vector)
        return unit


def _asked_apart(query: Query) -> list[Query]:
    """Return the queries that are embedded each for itself: the terms, or the query itself."""
    if query.is_filter:
        return []
    if query.only_takes_away:
        return [each for term in query.terms for each in shown_as(term.query)]
    return [term.query for term in _terms_of(query)]


def _terms_of(query: Query) -> list[Term]:
    """Return the terms that are asked apart; a query without any is one itself."""
    if not query.terms:
        return [Term(query=query)]
    return [
        replace(term, query=each)
        for term in joined(query.terms)
        for each in (shown_as(term.query) if term.weight < 0 else [term.query])
    ]

"""The search pipeline: query -> encode -> candidates (filters, BM25) -> records -> rerank stage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypedDict

import numpy as np

from indexer.calibration.score_stats import FEWEST_QUERIES
from indexer.catalog.picture_words import shown_words
from indexer.core.encoder import Encoder, ReleasableEncoder, TruncatingEncoder, Vectors
from indexer.core.filters import AllOf
from indexer.core.types import Candidate, Kind
from indexer.library.library import Library
from retrieval._enums import ENSEMBLE, POOL, SortOrder
from retrieval.concepts import reader_of
from retrieval.errors import ItemMissing
from retrieval.models.language_router import telling_words
from retrieval.models.languages import ENGLISH, LanguageEncoder, flores_code
from retrieval.models.reference_vectors import nearest_caption
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
from retrieval.search.lexical_fusion import (
    NO_BOOSTS,
    SHARED,
    distinctive,
    exact_match_boosts,
    fused,
)
from retrieval.search.match_probability import MatchCalibrator, ScoreSample, lifted_to
from retrieval.search.query import Query, Searchable, Term, parse_query
from retrieval.search.query_language import language_of
from retrieval.search.rerank_stage import Note, RerankStage, photo_of
from retrieval.search.results import (
    Hit,
    SearchResults,
    StageTimes,
    calibrated,
    hits_of,
    one_a_video,
    with_lines,
    with_match,
)
from retrieval.search.search_request import Page, RerankChoice, Scoring, SearchRequest
from retrieval.search.spell_hints import (
    is_foreign,
    languages_of,
    spelling,
    truncation_hint,
    unknown_words,
)


class _Said(TypedDict):
    """The part of a `MatchCalibrator` that comes from the words of a query."""

    text: str
    length: int


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
        self._rerank_stage = (
            RerankStage(
                library=library,
                reranker=reranker,
                size_hint=encoder.image_size,
                note=note,
                foreign=partial(is_foreign, encoder),
            )
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
        request = SearchRequest(
            query=query if isinstance(query, Query) else parse_query(query),
            kind=Kind(kind),
            page=Page(top=top, offset=offset, sort=sort),
            frames=frames,
            scoring=Scoring(hubness=hubness, ensemble=ensemble, words=words),
            reranking=RerankChoice(instruct=instruct),
        )
        hits, _ = self._ranked(request, request.page.reach, StageTimes())
        return request.page.of(hits)

    def answer(self, request: SearchRequest | Searchable | Query) -> SearchResults:
        """Return a page of calibrated hits, or say that nothing matches.

        Args:
            request: all choices of a search; or only a query, as `search` takes it. The searcher's
                own reranker takes part, whichever one the request names.

        Raises:
            QueryInvalid: as `search`.
        """
        if not isinstance(request, SearchRequest):
            query = request if isinstance(request, Query) else parse_query(request)
            request = SearchRequest(query=query)
        return self._listed(request) if request.query.is_filter else self._matched(request)

    def _matched(self, request: SearchRequest) -> SearchResults:
        """Return a page of what matches best, calibrated."""
        page, times = request.page, StageTimes()
        reach = max(page.reach, POOL) if page.top else 0
        hits, found = self._ranked(request, reach, times)
        results = calibrated(hits, request, found=found, looked_for=reach)
        return replace(results, took_ms=times.milliseconds)

    def _with_lines(self, hits: list[Hit], query: Query) -> list[Hit]:
        """Give hits the lines of their pictures that have words of the query."""
        words = shown_words(query.words, query.where)
        lines = self._library.view.lines([hit.id for hit in hits]) if words else {}
        return with_lines(hits, lines, words) if lines else hits

    def _listed(self, request: SearchRequest) -> SearchResults:
        """Return a page of all that the filters let through, by date."""
        times, page = StageTimes(), request.page
        with times.of("candidates"):
            hits, total = self._library.view.at_one_commit(partial(self._list, request))
        more = bool(page.top) and page.reach < total
        return SearchResults(
            hits=hits,
            found=True,
            total=total,
            next=page.reach if more else None,
            took_ms=times.milliseconds,
        )

    def _list(self, request: SearchRequest) -> tuple[list[Hit], int]:
        """Return the hits of a page of `_listed`, and how many there are on all."""
        where, oldest = request.query.where or AllOf(), request.page.sort == SortOrder.OLDEST
        ids = self._library.listed(request.kind, where, oldest=oldest, frames=request.frames)
        shown = ids[request.page.offset : request.page.reach or None].tolist()
        hits = hits_of(
            [Candidate(id=id_, score=0.0) for id_ in shown], self._library.records(shown)
        )
        first = request.page.offset + 1
        hits = self._with_lines(hits, request.query)
        return [replace(hit, rank=rank) for rank, hit in enumerate(hits, start=first)], len(ids)

    def _ranked(
        self, request: SearchRequest, reach: int, times: StageTimes
    ) -> tuple[list[Hit], bool]:
        """Return the best hits after both stages, and whether anything matches.

        Args:
            request: what is asked.
            reach: how many hits; 0 for all.
            times: counts the stages.
        """
        query = request.query
        with times.of("encode"):
            vectors = self._encoded(request)
        reranks = self._reranks(request)
        depth = max(reach, POOL if reranks else 0) if reach else 0
        first = partial(self._first_stage, request, vectors, depth, times)
        hits, calibrator = self._library.view.at_one_commit(first)
        if query.is_filter or query.only_takes_away:
            return hits, True
        if reranks:
            with times.of("rerank"):
                hits = reranks.rescored(query, hits, request.kind, request.reranking.instruct)
        if calibrator is None or not hits:
            return hits, bool(hits)
        hits = with_match(hits, calibrator)
        named = any(hit.all_words and hit.likely for hit in hits)
        return hits, named or calibrator.anything(max(hit.plain for hit in hits))

    def _first_stage(
        self, request: SearchRequest, vectors: Sequence[Vectors], depth: int, times: StageTimes
    ) -> tuple[list[Hit], MatchCalibrator | None]:
        """Return the best hits of the first stage, and what calibrates their scores.

        Args:
            request: what is asked.
            vectors: of its terms, see `_encoded`.
            depth: how many hits; 0 for all.
            times: counts the stages.
        """
        query, calibrator = request.query, None
        if query.is_filter:
            find = partial(self._newest, request)
        elif query.only_takes_away:
            find = partial(self._without, request, vectors)
        else:
            composed = self._composed(request, vectors)
            with times.of("calibrate"):
                calibrator = self._calibrator(composed, request)
            find = partial(self._candidates, request, composed, calibrator)
        depth = depth or self._library.counts()[request.kind]
        with times.of("candidates"):
            hits = find(depth) if request.frames else one_a_video(find, depth)
            return self._with_lines(hits, query), calibrator

    def hint(self, query: Query) -> str:
        """Say why a learned name in a query is read as a plain word; empty as a rule."""
        return self._reader.hint(query.text)

    def unread(self, query: Query) -> str:
        """Say which words of a query the model does not read, since it is too long; empty for none.

        Added terms are read as one phrase.
        """
        if not isinstance(self._encoder, TruncatingEncoder):
            return ""
        parts = [term.query for term in joined(query.terms)] or [query]
        return truncation_hint(self._encoder, [each.text for each in parts if each.text])

    def doubt(self, query: Query, kind: Kind = Kind.PHOTO) -> str:
        """Say which words of a query may be misspelt or not English; empty as a rule.

        In doubt is what the model has to cut into pieces, and the library's own words lack.
        """
        parts = [term.query for term in query.terms] or [query]
        text = " ".join(each.text for each in parts if each.path is None)
        if self._reader.reads_name(text):
            return ""
        unknown = unknown_words(self._encoder, text)
        lacking = [each for each in unknown if not self._library.word_matches(each, kind, 1)]
        return spelling(lacking, text, languages_of(self._encoder))

    def _candidates(
        self,
        request: SearchRequest,
        composed: ComposedQuery,
        calibrator: MatchCalibrator | None,
        depth: int,
    ) -> list[Hit]:
        """Find the best items by their vectors, and by words they share with the query."""
        if isinstance(self._encoder, ReleasableEncoder):
            self._encoder.rest()  # its memory is free for the vectors that are searched
        library, query, kind = self._library, request.query, request.kind
        found = candidates(
            library, composed, kind, depth, where=query.where, excluded=query.excluded
        )
        words = query.words if request.scoring.words else ""
        shared = library.word_matches(words, kind, SHARED, where=query.where)
        best = found[0].score if found else -math.inf
        boosts = NO_BOOSTS
        if distinctive(shared) and calibrator is not None:
            boosts = self._boosts(request, composed, lifted_to(calibrator, best))
        score = partial(scores_of, library, composed, kind)
        found = fused(found, shared, score, boosts)[:depth]
        return hits_of(found, library.records([each.id for each in found]), boosts)

    def _newest(self, request: SearchRequest, depth: int) -> list[Hit]:
        """Find what the filters let through, the newest first."""
        where = request.query.where or AllOf()
        newest = self._library.catalog.newest(request.kind, where, depth)
        found = [Candidate(id=id_, score=0.0) for id_ in newest]
        return hits_of(found, self._library.records(newest))

    def _without(self, request: SearchRequest, vectors: Sequence[Vectors], depth: int) -> list[Hit]:
        """Find the newest items that show nothing of the negative terms.

        Where the library cannot tell what unrelated items score, the items that show the least come
        first.
        """
        library, query, kind = self._library, request.query, request.kind
        newest = library.catalog.newest(kind, query.where or AllOf(), library.counts()[kind])
        scales = [self._scale(each.kind, kind, 0.0) for each in _encoded_queries(query)]
        terms = [
            NegativeTerm(vector=vector[0], floor=scale.floor if scale else -1.0, weight=1.0)
            for vector, scale in zip(vectors, scales, strict=True)
        ]
        found = without(library, terms, kind, newest, depth)
        return hits_of(found, library.records([each.id for each in found]))

    def _boosts(
        self, request: SearchRequest, composed: ComposedQuery, target: float
    ) -> Mapping[int, float]:
        """Return the exact-match boosts towards a score, where a query asks in words alone."""
        query, kind = request.query, request.kind
        if any(term.query.kind == Kind.PHOTO and term.weight > 0 for term in query.terms):
            return NO_BOOSTS
        named = self._library.word_matches(query.words, kind, SHARED, where=query.where, every=True)
        score = partial(scores_of, self._library, replace(composed, negative=()), kind)
        return exact_match_boosts(named, score, target)

    def _reranks(self, request: SearchRequest) -> RerankStage | None:
        """Return the rerank stage where it takes part; it cannot read learned names."""
        stage, query = self._rerank_stage, request.query
        if stage is None or query.is_filter or query.only_takes_away:
            return None
        if self._reader.reads_name(query.text):
            return None
        return stage if stage.applies(query, request.kind, request.reranking.instruct) else None

    def _encoded(self, request: SearchRequest) -> list[Vectors]:
        """Embed each query of `_encoded_queries`, a name by its prompts. Shape (1, dim) each."""
        prompts = request.scoring.ensemble and request.kind == Kind.PHOTO
        return [
            self._encode(
                each,
                named=prompts and self._is_name(each.text),
                language=request.scoring.language,
            )
            for each in _encoded_queries(request.query)
        ]

    def _is_name(self, text: str) -> bool:
        """Return whether sentences about a text may be made: they are English."""
        return prompt_ensemble.is_name(text) and not is_foreign(self._encoder, text)

    def _composed(self, request: SearchRequest, vectors: Sequence[Vectors]) -> ComposedQuery:
        """Turn a query, of one term or several, into what the items are scored by."""
        terms = _terms_of(request.query)
        queries = [
            self._term_query(term, request, vector)
            for term, vector in zip(terms, vectors, strict=True)
        ]
        weights = [term.weight for term in terms]
        return mixed(queries, weights) if request.query.terms else queries[0]

    def _term_query(self, term: Term, request: SearchRequest, vector: Vectors) -> ComposedQuery:
        """Turn one term into what the items are scored by; a negative term knows no hubs."""
        alpha = self._encoder.hubness.alpha(query=term.query.kind, item=request.kind)
        alpha = alpha if request.scoring.hubness and term.weight > 0 else 0.0
        scale = self._scale(term.query.kind, request.kind, alpha)
        return ComposedQuery(vector=vector, alpha=alpha, unit=scale)

    def _scale(self, query: Kind, item: Kind, alpha: float) -> ScoreScale | None:
        """Return the scale of unrelated items in this direction, where the library can tell."""
        moments = self._library.normalizer.moments(query, item)
        if moments is None or not moments.spread(alpha):
            return None
        return ScoreScale(mean=moments.mean(alpha), spread=moments.spread(alpha))

    def _calibrator(
        self, composed: ComposedQuery, request: SearchRequest
    ) -> MatchCalibrator | None:
        """Return what turns scores into probabilities, where the library can tell."""
        if composed.unit is None:
            return None
        query, kind, alpha = request.query, request.kind, composed.alpha
        seen, items = self._library.score_sample(
            composed.vector, kind, alpha=alpha, where=query.where
        )
        return MatchCalibrator(
            unit=composed.unit,
            own=self._own_scale(composed, kind) if query.kind != kind else None,
            here=ScoreSample.of(seen),
            query=query.kind,
            item=kind,
            items=max(1, items),
            **self._said(query.words, composed.vector),
        )

    def _said(self, words: str, vector: Vectors) -> _Said:
        """Return what the words of a query tell of a match.

        How common a thing is was counted in English captions. So in another language it is as
        common as what the nearest generic caption speaks of.
        """
        if not is_foreign(self._encoder, words):
            return {"text": words, "length": 0}
        like = nearest_caption(self._encoder.bank(Kind.TEXT), vector[0])
        return {"text": like or words, "length": telling_words(words)}

    def _own_scale(self, composed: ComposedQuery, kind: Kind) -> ScoreScale | None:
        """Return the scale of generic items for this query, if there are enough to tell."""
        scores = self._library.score_cohort(composed.vector, kind, alpha=composed.alpha)
        if len(scores) < FEWEST_QUERIES or not scores.std():
            return None
        return ScoreScale(mean=float(scores.mean()), spread=float(scores.std()))

    def _encode(self, query: Query, *, named: bool, language: str) -> Vectors:
        """Embed the query with the tower of its kind, a name by its sentences. Shape (1, dim)."""
        if query.item is not None:
            return self._stored(query.item)
        if query.kind == Kind.TEXT:
            return self._encode_words(query.text, named=named, language=language)
        return self._encoder.encode_images([photo_of(query, size_hint=self._encoder.image_size)])

    def _encode_words(self, text: str, *, named: bool, language: str) -> Vectors:
        """Embed words; a model that must be told their language is told. Shape (1, dim)."""
        encoder = self._encoder
        if isinstance(encoder, LanguageEncoder) and (known := encoder.languages()):
            code = flores_code(language or language_of(text), known)
            if code != ENGLISH:  # our sentences about a name are English
                return encoder.encode_in([text], code)
        return prompt_ensemble.ensemble(encoder, [text]) if named else encoder.encode_texts([text])

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


def _encoded_queries(query: Query) -> list[Query]:
    """Return the queries that are embedded each by itself: the terms, or the query itself."""
    if query.is_filter:
        return []
    if query.only_takes_away:
        return [each for term in query.terms for each in shown_as(term.query)]
    return [term.query for term in _terms_of(query)]


def _terms_of(query: Query) -> list[Term]:
    """Return the terms that are embedded each by itself; a query without any is one itself."""
    if not query.terms:
        return [Term(query=query)]
    return [
        replace(term, query=each)
        for term in joined(query.terms)
        for each in (shown_as(term.query) if term.weight < 0 else [term.query])
    ]

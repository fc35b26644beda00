"""The whole search of a library: a request becomes a page of calibrated hits.

The command line and `retrieval.PhotoLibrary` both call `search_library`. The encoder and the
reranker come from `SearchModels`, which loads what a search needs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from indexer.core.encoder import Encoder
from indexer.library.library import Library
from retrieval._extras import require_torch
from retrieval.errors import RerankerMissing
from retrieval.rerankers import (
    BUILTIN,
    default_reranker,
    load_reranker,
    reranker_needs_torch,
)
from retrieval.reranking import Reranker, default_fusion
from retrieval.runtime.model_choice import ModelChoice
from retrieval.search.rerank_stage import Note
from retrieval.search.results import SearchResults, StageTimes, verdict
from retrieval.search.search_request import RerankChoice, SearchRequest
from retrieval.search.searcher import Searcher

Key = TypeVar("Key")
T = TypeVar("T")


class SearchModels:
    """Loads the encoders and rerankers for searches in one library, and keeps them.

    Each is loaded when a search first needs it. A reranker of Transformers needs the encoder in
    torch; all other searches use the fastest runtime. Several threads may share one object.

    Args:
        choice: the model that the user chose; if none, the library's own.
        model: spec of the library's own model.
        fingerprint: of that model. The built-in reranker takes part only with its own encoder.
        few: only one search follows, so the runtime may start faster and encode more slowly.
    """

    def __init__(
        self, choice: ModelChoice, model: str, fingerprint: str, *, few: bool = False
    ) -> None:
        self._choice, self._model, self._few = choice, model, few
        self._default_fusion = default_fusion(fingerprint)
        self._encoders: dict[bool, Encoder] = {}
        self._rerankers: dict[tuple[str | None, bool], Reranker | None] = {}
        self._loading = threading.RLock()

    def needed(self, request: SearchRequest) -> tuple[Encoder, Reranker | None]:
        """Return the encoder and the reranker of a search; None if it is not reranked.

        Raises:
            RerankerMissing: a reranker or an instruction was asked for, and there is no reranker.
            ModelUnavailable: a model cannot be loaded.
        """
        reranking = request.reranking
        weight = self._default_fusion.weight(query=request.query.kind, item=request.kind)
        if request.query.is_filter or not reranking.takes_part(weight):
            return self.quick(), None
        if reranking.wanted is False:
            raise RerankerMissing("--instruct needs the reranker; leave out --no-rerank")
        spec = reranking.spec
        torch = reranker_needs_torch(spec or BUILTIN)
        if torch:
            require_torch(f"the reranker '{spec}'")
        encoder = self.in_torch() if torch else self.quick()
        return encoder, self._reranker(reranking, encoder)

    def quick(self) -> Encoder:
        """Return the encoder in the fastest runtime."""
        return self._once(
            self._encoders, False, lambda: self._choice.quick(self._model, few=self._few)
        )

    def in_torch(self) -> Encoder:
        """Return the encoder in torch, beside which a large reranker runs; see `with_torch`."""
        return self._once(self._encoders, True, lambda: self._choice.with_torch(self._model))

    def _reranker(self, reranking: RerankChoice, encoder: Encoder) -> Reranker | None:
        """Return the reranker that a search asks for, or the built-in one."""
        spec, instructed = reranking.spec, bool(reranking.instruct)
        found = self._once(
            self._rerankers, (spec, instructed), lambda: _load(spec, encoder, instructed=instructed)
        )
        if found is None and (reranking.wanted or instructed):
            raise RerankerMissing(
                f"no reranker ships for the model {encoder.name}; name one with --reranker"
            )
        return found

    def _once(self, loaded: dict[Key, T], key: Key, load: Callable[[], T]) -> T:
        """Return what is loaded under a key; load it the first time."""
        with self._loading:
            if key not in loaded:
                loaded[key] = load()
            return loaded[key]


class ModelPool:
    """Keeps the models of several libraries: libraries of one model share it. For any thread.

    Args:
        most: so many are kept; the one that was asked for longest ago goes first.
    """

    def __init__(self, most: int = 4) -> None:
        self._most, self._lock = most, threading.Lock()
        self._kept: dict[tuple[ModelChoice, str, str], SearchModels] = {}

    def models(self, choice: ModelChoice, model: str, fingerprint: str) -> SearchModels:
        """Return the models for a library; see `SearchModels`."""
        key = (choice, model, fingerprint)
        with self._lock:
            found = self._kept.pop(key, None) or SearchModels(choice, model, fingerprint)
            self._kept[key] = found
            while len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
        return found


def _load(spec: str | None, encoder: Encoder, *, instructed: bool) -> Reranker | None:
    """Load a reranker by its spec, or the built-in one if it belongs to the encoder."""
    if spec:
        return load_reranker(spec, encoder, instructed=instructed)
    return default_reranker(encoder, instructed=instructed)


def search_library(
    library: Library, models: SearchModels, request: SearchRequest, note: Note = lambda _: None
) -> SearchResults:
    """Search a library, and say what a person should know about the hits.

    Args:
        library: to search in.
        models: from which the encoder and the reranker come.
        request: what is asked.
        note: receives the lines of `SearchResults.notes` as they come up, before slow steps.

    Raises:
        QueryInvalid: the query's photo cannot be read, or the page is none.
        RerankerMissing: an instruction, or a reranker was asked for, where there is none.
        ModelMismatch: the model that was asked for is not the library's.
    """
    query, notes = request.query, _Notes(note)
    for line in (*query.notes, query.hint):
        notes.add(line)
    if not library.counts()[request.kind]:
        notes.add(f"the library has no {request.kind}s; add some with: twinlens index FOLDER")
        return SearchResults(hits=[], found=False, notes=notes.lines)
    times = StageTimes()
    with times.of("models"):
        encoder, reranker = models.needed(request)
    searcher = Searcher(library, encoder, reranker, notes.add)
    notes.add(searcher.hint(query))
    results = searcher.answer(request)
    doubts = (searcher.unread(query), searcher.doubt(query, request.kind))
    return replace(
        results,
        by_date=request.by_date,
        message=verdict(results, request),
        notes=notes.lines,
        doubts=tuple(filter(None, doubts)),
        took_ms={**times.milliseconds, **results.took_ms},
    )


class _Notes:
    """Keeps the lines that a search says, and passes each on at once."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self.lines: tuple[str, ...] = ()

    def add(self, line: str) -> None:
        """Keep and pass on a line, if it says anything."""
        if line:
            self.lines += (line,)
            self._note(line)

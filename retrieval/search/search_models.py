"""The models of a search: the quickest encoder that will do, and the reranker that takes part."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from indexer.core.encoder import Encoder
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
from retrieval.search.search_request import RerankChoice, SearchRequest

Key = TypeVar("Key")
T = TypeVar("T")


class SearchModels:
    """Encoders and rerankers for searches in one library, each loaded when it is first needed.

    A reranker of transformers needs the model in torch; all other searches run on the quickest
    encoder. Threads may share one.

    Args:
        choice: the model that was asked for; without one, the library's own.
        model: the library's own model.
        fingerprint: of that model: it decides where the reranker that ships takes part.
        few: a single search is to come, so that the models may rest after it.
    """

    def __init__(
        self, choice: ModelChoice, model: str, fingerprint: str, *, few: bool = False
    ) -> None:
        self._choice, self._model, self._few = choice, model, few
        self._usual = default_fusion(fingerprint)
        self._encoders: dict[bool, Encoder] = {}
        self._rerankers: dict[tuple[str | None, bool], Reranker | None] = {}
        self._loading = threading.RLock()

    def needed(self, request: SearchRequest) -> tuple[Encoder, Reranker | None]:
        """Return the encoder and the reranker, if any, of a search.

        Raises:
            RerankerMissing: there is none where one was asked for, or an instruction without one.
            ModelUnavailable: a model cannot be loaded.
        """
        reranking = request.reranking
        usual = self._usual.weight(query=request.query.kind, item=request.kind)
        if request.query.is_filter or not reranking.takes_part(usual):
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
        """Return the quickest encoder."""
        return self._once(
            self._encoders, False, lambda: self._choice.quick(self._model, few=self._few)
        )

    def in_torch(self) -> Encoder:
        """Return the encoder in torch, beside which a large reranker runs; see `with_torch`."""
        return self._once(self._encoders, True, lambda: self._choice.with_torch(self._model))

    def _reranker(self, reranking: RerankChoice, encoder: Encoder) -> Reranker | None:
        """Return the reranker that takes part with an encoder."""
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
        """Return what was loaded under a key; load it the first time."""
        with self._loading:
            if key not in loaded:
                loaded[key] = load()
            return loaded[key]


def _load(spec: str | None, encoder: Encoder, *, instructed: bool) -> Reranker | None:
    """Load a reranker by its spec, else the one that ships, if it reads with the encoder."""
    if spec:
        return load_reranker(spec, encoder, instructed=instructed)
    return default_reranker(encoder, instructed=instructed)

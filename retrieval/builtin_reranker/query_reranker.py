"""The built-in reranker without an instruction; it needs no torch."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from indexer.core.encoder import Encoder, TokenEncoder, TokenShape
from retrieval.builtin_reranker.caption_lm import CaptionLM, load_teller
from retrieval.builtin_reranker.word_detectors import Floats, WordDetectors, load_spotter
from retrieval.errors import ModelUnavailable
from retrieval.reranking.protocol import ImageFeatures, QueryInstruction
from retrieval.reranking.score_fusion import FusionWeights, Scores, read_config

Key = TypeVar("Key", bound=Hashable)


class QueryReranker:
    """Reranks by word detectors and caption language models, for queries without an instruction.

    It gives the same scores as `InstructionReranker` for the same pairs.

    Args:
        name: what a person calls it.
        spotter: the word detectors.
        teller: the caption language models.
        fusion: the weights of the scores.
        encoder: gives the patch tokens.
    """

    def __init__(
        self,
        name: str,
        spotter: WordDetectors,
        teller: CaptionLM,
        fusion: FusionWeights,
        encoder: TokenEncoder,
    ) -> None:
        self.name, self.fusion = name, fusion
        self._spotter, self._teller, self._encoder = spotter, teller, encoder

    @property
    def token_shape(self) -> TokenShape | None:
        """Size of the tokens that it reads from a library."""
        return self._encoder.token_shape

    def look(self, photos: Sequence[Image.Image]) -> Sequence[ImageFeatures]:
        """Return the tokens of RGB photos. Shape (tokens, width) each."""
        _, tokens = self._encoder.encode_with_tokens(photos)
        return list(tokens)

    def cuts(self, instruction: str) -> bool:  # noqa: ARG002 - there is none
        """Say that nothing is cut: there is no instruction."""
        return False

    def score(self, asked: Sequence[QueryInstruction], sights: Sequence[ImageFeatures]) -> Scores:
        """Score couples of texts and photos. Shape (couples,).

        Raises:
            ModelUnavailable: a text comes with an instruction.
        """
        if any(wish for _, wish in asked):
            raise ModelUnavailable(
                f"the reranker {self.name!r} was loaded for queries without an instruction"
            )
        if not asked:
            return np.zeros(0)
        return score_queries(self._spotter, self._teller, seated(asked, sights))


class PairIndex(NamedTuple):
    """Pairs as indices into unique queries and unique photos.

    Attributes:
        texts: the queries. (t).
        tokens: of the photos. (p, m, d).
        text: the query of each pair. (c).
        photo: the photo of each pair. (c).
    """

    texts: list[str]
    tokens: Floats
    text: list[int]
    photo: list[int]


def seated(asked: Sequence[QueryInstruction], sights: Sequence[ImageFeatures]) -> PairIndex:
    """Index pairs, of which there is at least one; photos are compared by identity."""
    queries = places(query for query, _ in asked)
    photos = {id(sight): np.asarray(sight, dtype=np.float32) for sight in sights}
    seats = places(photos)
    return PairIndex(
        texts=list(queries),
        tokens=np.stack(list(photos.values())),
        text=[queries[query] for query, _ in asked],
        photo=[seats[id(sight)] for sight in sights],
    )


def places(keys: Iterable[Key]) -> dict[Key, int]:
    """Number things in the order in which they come first."""
    return {key: number for number, key in enumerate(dict.fromkeys(keys))}


def score_queries(spotter: WordDetectors, teller: CaptionLM, couples: PairIndex) -> Scores:
    """Score queries with photos, by word detectors and language models. Shape (couples,)."""
    texts, tokens, text, photo = couples
    spotted: Scores = spotter.score(texts, tokens)[text, photo]
    return spotted + teller.score(texts, tokens, text, photo)


def load_word_reranker(folder: Path, encoder: TokenEncoder, name: str) -> QueryReranker:
    """Load what a reranker of twinlens needs without instructions.

    Raises:
        ModelUnavailable: it is missing or damaged, or reads with another encoder.
    """
    config = read_config(folder)
    check_encoder(str(config.get("encoder")), encoder, name)
    try:
        fusion, tellers = FusionWeights(**config["fusion"]), int(config.get("tellers", 0))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(
            f"reranker '{folder}' is damaged or of another kind: {error}"
        ) from error
    return QueryReranker(name, load_spotter(folder), load_teller(folder, tellers), fusion, encoder)


def check_encoder(wanted: str, encoder: Encoder, name: str) -> None:
    """Refuse an encoder that a reranker was not trained for."""
    if wanted != encoder.fingerprint:
        raise ModelUnavailable(
            f"the reranker {name!r} reads with the model {wanted[:12]}, not with "
            f"{encoder.name!r} ({encoder.fingerprint[:12]}); train one for it with "
            "`twinlens train-reranker`, or search with --no-rerank"
        )

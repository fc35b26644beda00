"""The reranker protocol: what a search needs from a reranker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from PIL import Image

from indexer.core.encoder import Tokens, TokenShape
from retrieval.reranking.score_fusion import FusionWeights, Scores

QueryInstruction: TypeAlias = tuple[str, str]
"""A query, and the instruction that goes with it; "" for none."""

ImageFeatures: TypeAlias = Image.Image | Tokens
"""What a reranker reads of a photo: the photo itself, or its tokens, shape (tokens, width)."""


class Reranker(Protocol):
    """A model that scores how well photos match texts, reading each photo and text together."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    @property
    def fusion(self) -> FusionWeights:
        """The weights of its scores relative to the first stage's."""
        ...

    @property
    def token_shape(self) -> TokenShape | None:
        """Size of the tokens that it reads from a library; None if it reads photos alone."""
        ...

    def look(self, photos: Sequence[Image.Image]) -> Sequence[ImageFeatures]:
        """Prepare RGB photos for `score`."""
        ...

    def cuts(self, instruction: str) -> bool:
        """Return whether an instruction is too long to be read completely."""
        ...

    def score(self, asked: Sequence[QueryInstruction], sights: Sequence[ImageFeatures]) -> Scores:
        """Score pairs: each text, with its instruction, and the photo at the same place.

        Higher is better. Shape (couples,).
        """
        ...

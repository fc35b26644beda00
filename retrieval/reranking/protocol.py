"""What search asks of a reranker."""

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
    """Says how well photos match texts, each photo and text seen together."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    @property
    def fusion(self) -> FusionWeights:
        """How its scores count beside the first stage's."""
        ...

    @property
    def token_shape(self) -> TokenShape | None:
        """Size of the tokens that it reads from a library; None if it reads photos alone."""
        ...

    def look(self, photos: Sequence[Image.Image]) -> Sequence[ImageFeatures]:
        """Return what it reads of RGB photos."""
        ...

    def cuts(self, instruction: str) -> bool:
        """Tell whether an instruction is longer than it reads."""
        ...

    def score(self, asked: Sequence[QueryInstruction], sights: Sequence[ImageFeatures]) -> Scores:
        """Score couples: each text, with its instruction, and the photo at the same place.

        Higher is better. Shape (couples,).
        """
        ...

"""How a reranker's scores change the order of the first stage.

    fused = first stage + w · (s(query) − mean) + v · (s(query, instruction) − s(query) − mean)

s are the reranker's scores of the candidates, each mean is over them. So a candidate that cannot
be rescored keeps its first-stage score; w is how far the reranker is trusted in a direction, 0
where it did not gain on validation data: it is off there; v is how far an instruction carries,
and one that changes nothing for the reranker changes no order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.core.errors import UsageError
from indexer.core.types import Kind

Scores = NDArray[np.float64]
"""One score a candidate. Shape (candidates,) or (queries, candidates)."""


@dataclass(frozen=True, kw_only=True)
class FusionWeights:
    """Weights of a reranker's scores beside the first stage's, tuned on validation data.

    Attributes:
        text_to_image: w, where words look for photos; 0 for off.
        image_to_text: w, where a photo looks for texts; 0 for off.
        instructed: v, in both directions.
        obeying: log-odds that a candidate obeys, for each unit by which the instruction changes its
            score; 0 where that was never measured.
    """

    text_to_image: float = 0.0
    image_to_text: float = 0.0
    instructed: float = 0.0
    obeying: float = 0.0

    def __post_init__(self) -> None:
        for weight in (self.text_to_image, self.image_to_text, self.instructed, self.obeying):
            if not (math.isfinite(weight) and weight >= 0):
                raise UsageError(f"fusion: a weight must be 0 or above, not {weight}")

    def weight(self, *, query: Kind, item: Kind) -> float:
        """Return w of a direction: 0 within one kind, of which a reranker knows nothing."""
        if query == item:
            return 0.0
        return self.text_to_image if item == Kind.PHOTO else self.image_to_text

    def obeys(self, change: Scores) -> Scores:
        """Return how likely candidates obey an instruction; NaN where nobody can tell.

        Args:
            change: what the instruction adds to the reranker's scores, NaN where there are none.
                Shape (candidates,).
        """
        if not self.obeying:
            return np.full(len(change), np.nan)
        likely: Scores = 1 / (1 + np.exp(-self.obeying * change))
        return likely


def combine_scores(first: Scores, scores: Scores, weight: float) -> Scores:
    """Add rescored candidates to the first stage; NaN marks one that could not be rescored.

    Args:
        first: scores of the first stage. Shape (…, candidates).
        scores: of the reranker. Shape (…, candidates).
        weight: of the reranker.
    """
    known = np.isfinite(scores)
    count = known.sum(axis=-1, keepdims=True)
    mean = np.where(known, scores, 0.0).sum(axis=-1, keepdims=True) / np.maximum(count, 1)
    total: Scores = first + weight * np.where(known, scores - mean, 0.0)
    return total

"""Fuse a reranker's scores with the scores of the first stage.

    fused = first stage + w · (s(query) − mean) + v · (s(query, instruction) − s(query) − mean)

s are the reranker's scores of the candidates, and each mean is over the candidates. A candidate
that cannot be reranked keeps its first-stage score. w is the weight of the reranker in one
direction of search; it is 0, so the reranker is off, where it did not improve validation data. v is
the weight of an instruction; an instruction that does not change the reranker's scores does not
change the order.
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
    """The weights of a reranker's scores relative to the first stage's, tuned on validation data.

    Attributes:
        text_to_image: w, where words look for photos; 0 for off.
        image_to_text: w, where a photo looks for texts; 0 for off.
        instructed: v, in both directions.
        obeying: log-odds that a candidate follows the instruction, for each unit by which the
            instruction changes its score; 0 if that was never measured.
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
        """Return w of a direction; 0 within one kind, for which a reranker is not trained."""
        if query == item:
            return 0.0
        return self.text_to_image if item == Kind.PHOTO else self.image_to_text

    def obeys(self, change: Scores) -> Scores:
        """Return the probability that candidates follow an instruction; NaN if it is unknown.

        Args:
            change: what the instruction adds to the reranker's scores, NaN where there are none.
                Shape (candidates,).
        """
        if not self.obeying:
            return np.full(len(change), np.nan)
        likely: Scores = 1 / (1 + np.exp(-self.obeying * change))
        return likely


def combine_scores(first: Scores, scores: Scores, weight: float) -> Scores:
    """Add reranked candidates' scores to the first stage's; NaN marks one that was not reranked.

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

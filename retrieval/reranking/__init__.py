"""Rerankers: score the first candidates again with a model that reads photo and words together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval._lazy import loader

if TYPE_CHECKING:
    from retrieval.reranking.protocol import ImageFeatures, QueryInstruction, Reranker
    from retrieval.reranking.score_fusion import (
        FusionWeights,
        Scores,
        combine_scores,
        default_fusion,
    )

__all__ = [
    "FusionWeights",
    "ImageFeatures",
    "QueryInstruction",
    "Reranker",
    "Scores",
    "combine_scores",
    "default_fusion",
]

__getattr__ = loader(
    __name__,
    {
        "retrieval.reranking.score_fusion": (
            "FusionWeights",
            "Scores",
            "combine_scores",
            "default_fusion",
        ),
        "retrieval.reranking.protocol": ("QueryInstruction", "Reranker", "ImageFeatures"),
    },
)

"""Rerankers: score the first candidates again with a model that reads photo and words together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval._lazy import loader

if TYPE_CHECKING:
    from retrieval.reranking.protocol import Asked, Reranker, Sight
    from retrieval.reranking.reranker_config import default_fusion
    from retrieval.reranking.score_fusion import Fusion, Scores, fused

__all__ = [
    "Asked",
    "Fusion",
    "Reranker",
    "Scores",
    "Sight",
    "default_fusion",
    "fused",
]

__getattr__ = loader(
    __name__,
    {
        "retrieval.reranking.reranker_config": ("default_fusion",),
        "retrieval.reranking.score_fusion": ("Fusion", "Scores", "fused"),
        "retrieval.reranking.protocol": ("Asked", "Reranker", "Sight"),
    },
)

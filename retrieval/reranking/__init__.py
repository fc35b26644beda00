"""A second look: the first candidates, rescored by a model that sees photo and words together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval.lazy import loader

if TYPE_CHECKING:
    from retrieval.reranking.config import default_fusion
    from retrieval.reranking.fusion import Fusion, Scores, fused
    from retrieval.reranking.protocol import Asked, Reranker, Sight

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
        "retrieval.reranking.config": ("default_fusion",),
        "retrieval.reranking.fusion": ("Fusion", "Scores", "fused"),
        "retrieval.reranking.protocol": ("Asked", "Reranker", "Sight"),
    },
)

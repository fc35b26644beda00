"""Measure models: metrics over ranks, and the evaluation of an encoder on image-text pairs."""

from __future__ import annotations

from retrieval.evaluation.compare import Comparison, Difference, compare
from retrieval.evaluation.retrieval_eval import (
    Direction,
    Directions,
    Estimate,
    Evaluation,
    evaluate,
)

__all__ = [
    "Comparison",
    "Difference",
    "Direction",
    "Directions",
    "Estimate",
    "Evaluation",
    "compare",
    "evaluate",
]

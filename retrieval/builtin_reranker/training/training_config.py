"""The configuration of a reranker's training, stored beside it."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class RerankerTraining:
    """The configuration of one training run.

    Attributes:
        steps: batches for the polarity classifier, which separates wordings that ask for something,
            forbid it, or do neither; 0 keeps that of --init.
        signs: number of wordings in a batch.
        telling: passes over the captions for the caption language models; 0 keeps those of --init.
        lr: peak learning rate of the polarity classifier.
        views: number of views of each photo; all but the first are random mirrored crops.
        seed: seed of all random choices.
    """

    steps: int = 400
    signs: int = 48
    telling: int = 14
    lr: float = 1e-3
    views: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise UsageError(f"steps must be 0 or more, not {self.steps}")
        if self.telling < 0:
            raise UsageError(f"telling must be 0 or more, not {self.telling}")
        for name in ("signs", "views"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if self.lr <= 0:
            raise UsageError(f"lr must be positive, not {self.lr}")

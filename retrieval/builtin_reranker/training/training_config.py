"""Everything that decides how a reranker learns, stored beside it."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.core.errors import UsageError
from retrieval._enums import Precision, RerankCriterion


@dataclass(frozen=True, kw_only=True)
class RerankerTraining:
    """One run.

    Attributes:
        steps: batches to learn from; 0 leaves the network as it is.
        telling: passes over the captions for the models that say how likely a caption is of a
            photo; 0 keeps those that there are.
        lessons: in a batch, of captions and photos.
        steering: lessons in a batch, of instructions.
        signs: wordings in a batch, told apart into what asks, what forbids, and neither.
        verdict: how labels become a loss.
        lr: peak learning rate.
        weight_decay: of AdamW, on matrices alone.
        dropout: share of each residual branch left out.
        patch_drop: share of the image tokens left out of a batch.
        word_drop: share of the words left out of a batch.
        ema: decay of the running average that is kept.
        precision: arithmetic of the network; weights are float32 either way.
        views: of each photo; all but the first are random crops, mirrored.
        reach: photos nearest to a caption, of which lessons are made.
        checkpoint_every: steps between states that a killed run resumes from.
        seed: decides every random choice.
    """

    steps: int = 5_000
    telling: int = 14
    lessons: int = 4
    steering: int = 2
    signs: int = 32
    verdict: RerankCriterion = RerankCriterion.BOTH
    lr: float = 5e-4
    weight_decay: float = 0.05
    dropout: float = 0.1
    patch_drop: float = 0.2
    word_drop: float = 0.1
    ema: float = 0.998
    precision: Precision = Precision.FP32
    views: int = 2
    reach: int = 60
    checkpoint_every: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise UsageError(f"steps must be 0 or more, not {self.steps}")
        if self.telling < 0:
            raise UsageError(f"telling must be 0 or more, not {self.telling}")
        for name in ("lessons", "steering", "signs", "views", "reach", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if self.lr <= 0:
            raise UsageError(f"lr must be positive, not {self.lr}")

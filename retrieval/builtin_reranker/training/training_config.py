"""Everything that decides how a reranker learns, stored beside it."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class RerankerTraining:
    """One run.

    Attributes:
        steps: batches of wordings, told apart into what asks, what forbids, and neither; 0 keeps
            what --init knows of them.
        signs: wordings in a batch.
        telling: passes over the captions for the models that say how likely a caption is of a
            photo; 0 keeps those that there are.
        lr: peak learning rate, for wordings.
        views: of each photo; all but the first are random crops, mirrored.
        seed: decides every random choice.
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

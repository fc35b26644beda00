"""How a training run reports to whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrainProgress:
    """The progress of a run: optimizer steps, and photos seen.

    `batch` is the photos of the last batch alone.
    """

    step: int
    steps: int
    loss: float
    photos: int
    total: int
    batch: int


@dataclass(frozen=True, kw_only=True)
class TrainObserver:
    """How a run reports: each may be replaced; by default nobody watches.

    `phase` is called with the name of what is done between two steps, or after the last.
    """

    note: Callable[[str], None] = lambda _: None
    phase: Callable[[str], None] = lambda _: None
    decoded: Callable[[int, int], None] = lambda _done, _all: None
    progress: Callable[[TrainProgress], None] = lambda _: None

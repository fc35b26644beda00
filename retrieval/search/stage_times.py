"""How long each stage of one search took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class StageTimes:
    """Adds up the milliseconds of the stages of one search, by their names.

    The stages are "models" (choosing and loading them), "encode" (the query), "candidates" (vectors
    and words), "calibrate" (what makes scores probabilities) and "rerank".
    """

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Count the time until the end of the block to a stage."""
        began = perf_counter()
        try:
            yield
        finally:
            spent = 1e3 * (perf_counter() - began)
            self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + spent

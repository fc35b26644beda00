"""Adam in numpy: the steps by which a name is learned."""

from __future__ import annotations

import numpy as np

from retrieval.models.numpy_layers import Floats

FIRST, SECOND, TINY = 0.9, 0.999, 1e-8
"""Shares of mean and mean square that a step keeps; what keeps it from dividing by zero."""


class Adam:
    """Turns gradients into steps of about the same size.

    Args:
        shape: of what is learned.

    Source: Kingma and Ba 2015, algorithm 1 (arXiv 1412.6980).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._mean = np.zeros(shape, dtype=np.float32)
        self._square = np.zeros(shape, dtype=np.float32)
        self._steps = 0

    def step(self, gradient: Floats, rate: float) -> Floats:
        """Return what to subtract."""
        self._steps += 1
        self._mean += np.float32(1 - FIRST) * (gradient - self._mean)
        self._square += np.float32(1 - SECOND) * (gradient * gradient - self._square)
        mean = self._mean / np.float32(1 - FIRST**self._steps)
        square = self._square / np.float32(1 - SECOND**self._steps)
        step: Floats = np.float32(rate) * mean / (np.sqrt(square) + np.float32(TINY))
        return step

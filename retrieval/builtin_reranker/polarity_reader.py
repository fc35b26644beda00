"""The reader of signs in numpy: what `polarity_classifier` learned, without torch.

Shapes: t texts, n words, w width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.builtin_reranker.polarity_config import PolarityConfig
from retrieval.models.numpy_layers import (
    Floats,
    attention,
    gelu,
    linear,
    norm,
    sigmoid,
    softmax,
)


class PolarityReader:
    """Reads the sign of instructions: the mean of several opinions.

    Args:
        config: its shape.
        weights: by the names that `PolarityClassifier` gives them.

    Raises:
        ValueError: weights are missing or of another shape.
    """

    def __init__(self, config: PolarityConfig, weights: dict[str, Floats]) -> None:
        wanted = _shapes(config)
        found = {name: weight.shape for name, weight in weights.items()}
        if found != wanted:
            wrong = min(name for name in found | wanted if found.get(name) != wanted.get(name))
            raise ValueError(
                f"'{wrong}' has the shape {found.get(wrong)} instead of {wanted.get(wrong)}"
            )
        self.config, self._weights = config, weights

    def weights(self) -> dict[str, Floats]:
        """Return its weights by name."""
        return self._weights

    def __call__(self, tokens: Floats, seen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the chance that a text asks less the chance that it forbids.

        (t, n, text width), (t, n) → (t,).
        """
        opinions = np.concatenate(
            [self._opinions(number, tokens, seen) for number in range(self.config.readers)]
        )
        forbids, _, asks = opinions.mean(axis=0, dtype=np.float64).T
        signs: NDArray[np.float64] = asks - forbids
        return signs

    def _opinions(self, number: int, tokens: Floats, seen: NDArray[np.bool_]) -> Floats:
        """Judge texts twice: forbids, neither, asks. → (2, t, 3)."""
        weights = _of(self._weights, f"readers.{number}.")
        x = linear(weights, "from_text", tokens)
        qkv = linear(weights, "layer.qkv", norm(weights, "layer.norm1", x))
        x = x + linear(weights, "layer.proj", attention(qkv, self.config.heads, seen))
        inside = gelu(linear(weights, "layer.fc1", norm(weights, "layer.norm2", x)))
        x = norm(weights, "norm", x + linear(weights, "layer.fc2", inside))  # (t, n, w)
        lowest = np.finfo(np.float32).min
        gates = softmax(np.where(seen[:, :, None], linear(weights, "gates", x), lowest), axis=1)
        read, whole = (gates.swapaxes(1, 2) @ x).swapaxes(0, 1)  # (t, w) each
        turns = sigmoid(linear(weights, "turn", x)[:, :, 0]) * seen  # (t, n)
        sign = (1.0 - 2.0 * turns).prod(axis=1)  # (t,)
        neither = sigmoid(linear(weights, "neither", read)[:, 0])  # (t,)
        wished = (1.0 - neither) / 2
        by_turns = np.stack([wished * (1.0 - sign), neither, wished * (1.0 + sign)], axis=-1)
        return np.stack([by_turns, softmax(linear(weights, "verdict", whole))])


def zeros(config: PolarityConfig) -> dict[str, Floats]:
    """Return weights that say nothing, for a reader that has still to learn."""
    return {name: np.zeros(shape, dtype=np.float32) for name, shape in _shapes(config).items()}


def _of(weights: dict[str, Floats], begins: str) -> dict[str, Floats]:
    """Return the weights whose names begin so, by the rest of their names."""
    return {n.removeprefix(begins): w for n, w in weights.items() if n.startswith(begins)}


def _shapes(config: PolarityConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight by name."""
    width, inside = config.width, config.expand * config.width
    layers = {
        "from_text": (width, config.text_width),
        "layer.qkv": (3 * width, width),
        "layer.proj": (width, width),
        "layer.fc1": (inside, width),
        "layer.fc2": (width, inside),
        "turn": (1, width),
        "gates": (2, width),
        "neither": (1, width),
        "verdict": (3, width),
    }
    one: dict[str, tuple[int, ...]] = {}
    for name, shape in layers.items():
        one |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in ("layer.norm1", "layer.norm2", "norm"):
        one |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    return {
        f"readers.{number}.{name}": shape
        for number in range(config.readers)
        for name, shape in one.items()
    }

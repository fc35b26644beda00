"""The gate before the reader of text: which photos may show any, by their patch tokens.

A logistic regression over the mean and the largest of each value of the tokens: text covers few
patches of a photo, and the largest values show it. It was fitted by `scripts/fit_text_gate.py` for
the built-in model; other models have none, and all photos are read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from indexer.core.encoder import Tokens, TokenShape
from retrieval._resources import resource

FILE = "text_gate.safetensors"


@dataclass(frozen=True, kw_only=True)
class PatchGate:
    """A gate of one model.

    Attributes:
        shape: of a photo's tokens.
        weights: of the features of a photo's tokens. Shape (features,).
        bias: added to the score.
        mean: of a token's values, taken away first. Shape (width,).
        scale: of a token's values, divided by. Shape (width,).
        threshold: photos of this score or more are read.
    """

    shape: TokenShape
    weights: NDArray[np.float32]
    bias: float
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    threshold: float

    def passes(self, tokens: Tokens) -> NDArray[np.bool_]:
        """Return which photos are worth reading, for tokens of shape (photos, tokens, width)."""
        return self.scores(tokens) >= self.threshold

    def scores(self, tokens: Tokens) -> NDArray[np.float32]:
        """Return how much photos look like text, as log-odds. Shape (photos,)."""
        scores: NDArray[np.float32] = features(tokens, self.mean, self.scale) @ self.weights
        return scores + np.float32(self.bias)


def features(
    tokens: Tokens, mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return what a photo's tokens say together: their mean, and the largest of each value.

    Args:
        tokens: shape (photos, tokens, width).
        mean: of a token's values. Shape (width,).
        scale: of a token's values. Shape (width,).

    Returns:
        Shape (photos, 2 * width).
    """
    even = (tokens - mean) / scale
    return np.concatenate([even.mean(axis=1), even.max(axis=1)], axis=1).astype(np.float32)


def text_gate(fingerprint: str, path: Path | None = None) -> PatchGate | None:
    """Load the gate that was fitted for a model; None where there is none.

    Args:
        fingerprint: of the model.
        path: of the file; the one that ships by default.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    path = path or resource(FILE)
    with safe_open(path, framework="np") as file:
        about = json.loads(file.metadata()["gate"])
        if about["model"] != fingerprint:
            return None
        return PatchGate(
            shape=TokenShape(**about["shape"]),
            weights=file.get_tensor("weights"),
            bias=about["bias"],
            mean=file.get_tensor("mean"),
            scale=file.get_tensor("scale"),
            threshold=about["threshold"],
        )

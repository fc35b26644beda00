"""Layers of transformers in numpy, for parts that are too small to be worth a graph.

Shapes: b sequences, n tokens, h heads, w width. Weights go by the names that torch gives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Weights: TypeAlias = Mapping[str, Floats]


def linear(weights: Weights, name: str, x: Floats) -> Floats:
    """Multiply by a matrix, (out, in), and add a bias if there is one. (…, in) → (…, out)."""
    matrix = weights[f"{name}.weight"]
    y: Floats = (x.reshape(-1, x.shape[-1]) @ matrix.T).reshape(*x.shape[:-1], len(matrix))
    bias = weights.get(f"{name}.bias")
    return y if bias is None else y + bias


def norm(weights: Weights, name: str, x: Floats, eps: float = 1e-5) -> Floats:
    """Normalise the last dimension (LayerNorm)."""
    normed = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((normed * normed).mean(axis=-1, keepdims=True) + np.float32(eps))
    scaled: Floats = normed / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return scaled


def gelu(x: Floats) -> Floats:
    """Return `x Φ(x)`, with the error function to 1.5e-7.

    Source: Abramowitz and Stegun 1964, 7.1.26.
    """
    z = np.abs(x) * np.float32(0.5**0.5)
    t = 1.0 / (1.0 + np.float32(0.3275911) * z)
    tail = np.zeros_like(t)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail = (tail + np.float32(factor)) * t
    erf = np.sign(x) * (1.0 - tail * np.exp(-z * z))
    y: Floats = np.float32(0.5) * x * (1.0 + erf)
    return y


def softmax(x: Floats, axis: int = -1) -> Floats:
    """Return shares that add up to 1."""
    shares: Floats = np.exp(x - x.max(axis=axis, keepdims=True))
    shares /= shares.sum(axis=axis, keepdims=True)
    return shares


def sigmoid(x: Floats) -> Floats:
    """Return `1 / (1 + exp(-x))`."""
    with np.errstate(over="ignore"):  # 1 / inf is the 0 that is meant
        y: Floats = np.reciprocal(np.float32(1) + np.exp(-x))
    return y


def attention(qkv: Floats, heads: int, seen: NDArray[np.bool_]) -> Floats:
    """Attend within each sequence: `softmax(QKᵀ/√(w/h)) V`. (b, n, 3w), (b, n) → (b, n, w)."""
    b, n, width = qkv.shape
    parts = qkv.reshape(b, n, 3, heads, width // 3 // heads).transpose(2, 0, 3, 1, 4)
    q, k, v = parts  # (b, h, n, w/h)
    raw = q @ k.swapaxes(-2, -1) * np.float32(q.shape[-1] ** -0.5)
    scores: Floats = np.where(seen[:, None, None, :], raw, np.float32(np.finfo(np.float32).min))
    out: Floats = (softmax(scores) @ v).swapaxes(1, 2).reshape(b, n, width // 3)
    return out


def unit(x: Floats) -> Floats:
    """Scale rows to unit length."""
    y: Floats = x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
    return y

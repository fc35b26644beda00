"""Layers of transformers in numpy that also say how their inputs should change.

Each function returns what the one of the same name in `numpy_layers` does, and its backward pass:
a function from the gradient of the output to that of the input. Weights stay as they are.

Shapes: b sequences, n tokens, h heads, w width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.models import numpy_layers as plain
from retrieval.models.numpy_layers import Floats, Weights

Back: TypeAlias = Callable[[Floats], Floats]
"""Gradient of an output → gradient of the input."""

_SQRT_TAU = np.float32((2.0 * np.pi) ** 0.5)


def linear(weights: Weights, name: str, x: Floats) -> tuple[Floats, Back]:
    """Multiply by a matrix, (out, in), and add a bias if there is one. (…, in) → (…, out)."""
    matrix = weights[f"{name}.weight"]

    def back(gradient: Floats) -> Floats:
        flat = gradient.reshape(-1, gradient.shape[-1]) @ matrix
        return flat.reshape(*gradient.shape[:-1], matrix.shape[1])

    return plain.linear(weights, name, x), back


def norm(weights: Weights, name: str, x: Floats, eps: float = 1e-5) -> tuple[Floats, Back]:
    """Normalise the last dimension (LayerNorm)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(eps))
    normed, scale = centred / spread, weights[f"{name}.weight"]

    def back(gradient: Floats) -> Floats:
        scaled = gradient * scale
        along = (scaled * normed).mean(axis=-1, keepdims=True)
        turned: Floats = (scaled - scaled.mean(axis=-1, keepdims=True) - normed * along) / spread
        return turned

    return normed * scale + weights[f"{name}.bias"], back


def gelu(x: Floats) -> tuple[Floats, Back]:
    """Return `x Φ(x)`; its slope is `Φ(x) + x φ(x)`."""
    y = plain.gelu(x)
    density = np.exp(np.float32(-0.5) * x * x) / _SQRT_TAU
    share = np.divide(y, x, out=np.full_like(x, 0.5), where=np.abs(x) > 1e-6)  # Φ(x)
    slope = share + x * density
    return y, lambda gradient: gradient * slope


def mlp(weights: Weights, name: str, x: Floats) -> tuple[Floats, Back]:
    """Two linear layers with a GELU between them."""
    return chained(
        x,
        lambda y: linear(weights, f"{name}.fc1", y),
        gelu,
        lambda y: linear(weights, f"{name}.fc2", y),
    )


def chained(x: Floats, *layers: Callable[[Floats], tuple[Floats, Back]]) -> tuple[Floats, Back]:
    """Run layers one after the other."""
    backs: list[Back] = []
    for layer in layers:
        x, back = layer(x)
        backs.append(back)

    def through(gradient: Floats) -> Floats:
        for back in reversed(backs):
            gradient = back(gradient)
        return gradient

    return x, through


def added(x: Floats, layer: Callable[[Floats], tuple[Floats, Back]]) -> tuple[Floats, Back]:
    """Add to an input what a layer makes of it."""
    y, back = layer(x)
    return x + y, lambda gradient: gradient + back(gradient)


def attention(qkv: Floats, heads: int, seen: NDArray[np.bool_]) -> tuple[Floats, Back]:
    """Attend within each sequence: `softmax(QKᵀ/√(w/h)) V`. (b, n, 3w), (b, n) → (b, n, w)."""
    b, n, width = qkv.shape
    parts = qkv.reshape(b, n, 3, heads, width // 3 // heads).transpose(2, 0, 3, 1, 4)
    q, k, v = parts  # (b, h, n, w/h)
    scale = np.float32(q.shape[-1] ** -0.5)
    hidden = np.float32(np.finfo(np.float32).min)
    shares, softmax_back = softmax(
        np.where(seen[:, None, None, :], q @ k.swapaxes(-2, -1) * scale, hidden)
    )

    def back(gradient: Floats) -> Floats:
        out = gradient.reshape(b, n, heads, -1).swapaxes(1, 2)  # (b, h, n, w/h)
        scores = softmax_back(out @ v.swapaxes(-2, -1)) * scale  # (b, h, n, n)
        each = np.stack([scores @ k, scores.swapaxes(-2, -1) @ q, shares.swapaxes(-2, -1) @ out])
        turned: Floats = each.transpose(1, 3, 0, 2, 4).reshape(b, n, width)
        return turned

    return (shares @ v).swapaxes(1, 2).reshape(b, n, width // 3), back


def softmax(x: Floats) -> tuple[Floats, Back]:
    """Return shares that add up to 1, along the last dimension."""
    shares = plain.softmax(x)

    def back(gradient: Floats) -> Floats:
        weighed = gradient * shares
        turned: Floats = weighed - shares * weighed.sum(axis=-1, keepdims=True)
        return turned

    return shares, back


def unit(x: Floats) -> tuple[Floats, Back]:
    """Scale rows to unit length."""
    length = np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
    y: Floats = x / length

    def back(gradient: Floats) -> Floats:
        turned: Floats = (gradient - y * (gradient * y).sum(axis=-1, keepdims=True)) / length
        return turned

    return y, back

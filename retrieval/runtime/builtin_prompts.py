"""The built-in text tower in numpy, forwards and backwards: it learns names without torch.

Only what replaces a word is learned, so a gradient passes through the tower to its inputs and its
weights have none. Each step computes what the class of the same part in
`retrieval.models.dual_encoder` does.

Shapes: b sentences, n tokens, w width, d joint dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.core.encoder import Vectors
from retrieval.models import numpy_gradients as layers
from retrieval.models.model_folder import WEIGHTS, describe
from retrieval.models.numpy_gradients import Back
from retrieval.models.numpy_layers import Floats, Weights
from retrieval.models.phrases import Phrase, Tokenize, slot_ids, words_between
from retrieval.models.stored_weights import StoredWeights

_EPS = 1e-12
_EMBEDDING = "text.embed.weight"


class BuiltinPrompts:
    """The text tower of a model of the built-in architecture, reading words and vectors alike.

    Args:
        folder: of the model.
        tokenize: cuts texts into tokens.

    Raises:
        ModelUnavailable: the weights are missing or broken.
    """

    def __init__(self, folder: Path, tokenize: Tokenize) -> None:
        self._architecture: dict[str, Any] = dict(describe(folder).architecture)
        self._stored = StoredWeights(folder / WEIGHTS)
        self._tokenize = tokenize

    def word_vectors(self, words: str) -> Floats:
        """Return the vectors of words, none if they are cut off. Shape (tokens, width)."""
        return self._stored.rows(_EMBEDDING, words_between(self._tokenize, words))

    def fit(
        self, phrases: Sequence[Phrase], table: Floats, targets: Vectors
    ) -> tuple[float, Floats]:
        """Return `1 - cosine` of phrases and targets, averaged, and its gradient in the table.

        Shapes: table and gradient (rows, width), targets (phrases, d) of unit length.
        """
        ids = slot_ids(self._tokenize, phrases)
        slots = ids < 0
        embedded = self._stored.rows(_EMBEDDING, np.maximum(ids, 0))
        embedded[slots] = table[-1 - ids[slots]]
        vectors, back = self._read(embedded, ids != 0)
        gradient = np.zeros_like(table)
        np.add.at(gradient, -1 - ids[slots], back(-targets / np.float32(len(targets)))[slots])
        return float(1.0 - (vectors * targets).sum(axis=1).mean()), gradient

    def _read(self, embedded: Floats, seen: NDArray[np.bool_]) -> tuple[Floats, Back]:
        """Embed texts by the vectors of their words. (b, n, w) → (b, d), unit norm."""
        weights, shape = self._weights, self._architecture["text"]
        blocks = (f"text.blocks.{number}" for number in range(shape["layers"]))
        return layers.chained(
            embedded + weights["text.pos_embed"][: embedded.shape[1]],
            partial(layers.norm, weights, "text.norm", eps=_EPS),
            *(partial(_block, weights, block, shape["heads"], seen) for block in blocks),
            partial(_average, seen),
            self._joint,
            layers.unit,
        )

    def _joint(self, read: Floats) -> tuple[Floats, Back]:
        """Map into the joint space. (b, w) → (b, d)."""
        embedded, back = layers.chained(read, partial(_head, self._weights))
        if not self._architecture.get("code", 0):
            return embedded, back
        looks, looks_back = layers.unit(embedded)
        code, code_back = layers.chained(read, self._named)
        split = looks.shape[1]

        def both(gradient: Floats) -> Floats:
            return back(looks_back(gradient[:, :split])) + code_back(gradient[:, split:])

        return np.concatenate([looks, code], axis=1), both

    def _named(self, read: Floats) -> tuple[Floats, Back]:
        """Look up what texts name. (b, w) → (b, code)."""
        weights, names = self._weights, self._architecture["text"]["names"]
        shares, back = layers.chained(
            read,
            partial(layers.norm, weights, "text.memory.norm"),
            partial(layers.linear, weights, "text.memory.keys"),
            layers.softmax,
        )
        values = weights["text.memory.values"]

        def through(gradient: Floats) -> Floats:
            every = np.zeros_like(shares)
            every[:, :names] = gradient @ values.T
            return back(every)

        return shares[:, :names] @ values, through

    @cached_property
    def _weights(self) -> Weights:
        """The weights of the tower, without the vectors of words."""
        return {
            name: self._stored[name]
            for name in self._stored
            if name.startswith("text.") and name != _EMBEDDING
        }


def _block(
    weights: Weights, name: str, heads: int, seen: NDArray[np.bool_], x: Floats
) -> tuple[Floats, Back]:
    """Run one transformer layer. (b, n, w) → (b, n, w)."""

    def attended(x: Floats) -> tuple[Floats, Back]:
        return layers.chained(
            x,
            partial(layers.linear, weights, f"{name}.attn.qkv"),
            lambda qkv: layers.attention(qkv, heads, seen),
            partial(layers.linear, weights, f"{name}.attn.proj"),
        )

    return layers.chained(
        x,
        lambda x: layers.added(x, attended),
        partial(layers.norm, weights, f"{name}.norm1", eps=_EPS),
        lambda x: layers.added(x, partial(layers.mlp, weights, f"{name}.mlp")),
        partial(layers.norm, weights, f"{name}.norm2", eps=_EPS),
    )


def _average(seen: NDArray[np.bool_], tokens: Floats) -> tuple[Floats, Back]:
    """Return the mean of the tokens that are seen. (b, n, w) → (b, w)."""
    share = seen / np.maximum(seen.sum(axis=1, keepdims=True), 1).astype(np.float32)
    weight: Floats = share[:, :, None].astype(np.float32)
    return (tokens * weight).sum(axis=1), lambda gradient: gradient[:, None, :] * weight


def _head(weights: Weights, read: Floats) -> tuple[Floats, Back]:
    """A linear map into the joint space, and a correction. (b, w) → (b, dim)."""
    x, norm_back = layers.norm(weights, "text.head.norm", read)
    straight, straight_back = layers.linear(weights, "text.head.linear", x)
    bent, bent_back = layers.mlp(weights, "text.head.mlp", x)
    return straight + bent, lambda gradient: norm_back(
        straight_back(gradient) + bent_back(gradient)
    )

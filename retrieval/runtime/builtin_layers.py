"""The ends of the built-in towers in numpy: the first blocks of texts, the head of photos.

A reranker asks them for a few inputs at a time, so they are done before a graph would be compiled.
Each function computes what the method of the same purpose in `retrieval.models.dual_encoder` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from indexer.core.encoder import Tokens, Vectors
from retrieval.models.model_folder import WEIGHTS, describe
from retrieval.models.numpy_layers import Floats, attention, gelu, linear, norm, softmax, unit
from retrieval.models.stored_weights import StoredWeights
from retrieval.models.tokenizer import Ids

_EPS = 1e-12
_HEAD, _TEXT = "visual.head", "text"


class BuiltinLayers:
    """Some layers of a model of the built-in architecture; each is read when it is first used.

    Args:
        folder: of the model.

    Raises:
        ModelUnavailable: the weights are missing or broken.
    """

    def __init__(self, folder: Path) -> None:
        self._architecture: Mapping[str, Any] = describe(folder).architecture
        self._stored = StoredWeights(folder / WEIGHTS)
        self._texts: dict[str, Floats] = {}

    def words(self, ids: Ids) -> Floats:
        """Return the vectors of words. (b, n) → (b, n, w)."""
        return self._stored.rows("text.embed.weight", ids)

    def read_early(self, ids: Ids, depth: int) -> Floats:
        """Return tokens of texts after the first blocks of the text tower. (b, n) → (b, n, w)."""
        weights, seen = self._text_weights(depth), ids != 0
        placed = self.words(ids) + weights["text.pos_embed"][: ids.shape[1]]
        x = norm(weights, f"{_TEXT}.norm", placed, _EPS)
        for number in range(depth):
            block = f"{_TEXT}.blocks.{number}"
            qkv = linear(weights, f"{block}.attn.qkv", x)
            attended = attention(qkv, self._architecture["text"]["heads"], seen)
            x = norm(
                weights, f"{block}.norm1", x + linear(weights, f"{block}.attn.proj", attended), _EPS
            )
            x = norm(weights, f"{block}.norm2", x + _mlp(weights, f"{block}.mlp", x), _EPS)
        return x

    def embed_tokens(self, tokens: Tokens) -> Vectors:
        """Embed photos by their tokens. (photos, tokens, width) → (photos, dim), unit norm."""
        weights, patches = self._head_weights, tokens[:, 1:]
        read = np.concatenate([tokens[:, 0], patches.mean(axis=1), patches.max(axis=1)], axis=1)
        x = norm(weights, f"{_HEAD}.norm", read)
        embedded = linear(weights, f"{_HEAD}.linear", x) + _mlp(weights, f"{_HEAD}.mlp", x)
        if "visual.memory.values" not in weights:
            return unit(embedded)
        shares = softmax(linear(weights, "visual.memory.keys", read))
        remembered = shares @ weights["visual.memory.values"]
        looks = unit(embedded) + remembered[:, : embedded.shape[1]]
        code = self._architecture.get("code", 0)
        if not code:
            return unit(looks)
        known = np.float32(self._architecture["known"]) * unit(remembered[:, -code:])
        return unit(np.concatenate([unit(looks), known], axis=1))

    def _text_weights(self, depth: int) -> Mapping[str, Floats]:
        """Read the first blocks of the text tower."""
        begins = ("text.norm.", "text.pos_embed", *(f"text.blocks.{n}." for n in range(depth)))
        for name in self._stored:
            if name.startswith(begins) and name not in self._texts:
                self._texts[name] = self._stored[name]
        return self._texts

    @cached_property
    def _head_weights(self) -> Mapping[str, Floats]:
        """Read the head of the image tower."""
        begins = ("visual.head.", "visual.memory.")
        return {name: self._stored[name] for name in self._stored if name.startswith(begins)}


def _mlp(weights: Mapping[str, Floats], name: str, x: Floats) -> Floats:
    """Two linear layers with a GELU between them."""
    return linear(weights, f"{name}.fc2", gelu(linear(weights, f"{name}.fc1", x)))

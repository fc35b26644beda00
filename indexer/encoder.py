"""What the indexer asks of a model: two towers that meet in one space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Vectors: TypeAlias = NDArray[np.float32]
"""Embeddings, one per row. Shape (n, dim), unit norm."""


@runtime_checkable
class Encoder(Protocol):
    """Turns photos and texts into unit vectors of one shared space.

    Attributes:
        name: what a person calls the model, e.g. "builtin" or "ViT-B-32/laion2b_s34b_b79k".
        fingerprint: a hash of architecture, weights and preprocessing. Vectors of two
            encoders may be compared if and only if their fingerprints are equal.
        dim: length of every vector.
        image_size: pixels a side that the image tower sees; a decoder may stop at twice that.
    """

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def image_size(self) -> int: ...

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Embed RGB photos. Shape (photos, dim)."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts. Shape (texts, dim)."""
        ...

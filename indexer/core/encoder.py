"""The encoder protocol: what the indexer needs from a model with an image and a text tower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.core.errors import TwinlensError
from indexer.core.resize import ImageInputSpec
from indexer.core.types import Hubness, Kind

Vectors: TypeAlias = NDArray[np.float32]
"""Embeddings, one per row. Shape (n, dim), unit norm."""

Tokens: TypeAlias = NDArray[np.float32]
"""Image tokens, for a reranker. Shape (photos, tokens, width)."""

UNIT_TOLERANCE = 0.01
"""How far a norm may be from 1: a tower that divides in bfloat16 is off by up to 0.004."""


@dataclass(frozen=True, kw_only=True)
class TokenShape:
    """The shape of a photo's patch tokens: `tokens` vectors of length `width`."""

    tokens: int
    width: int


@runtime_checkable
class Encoder(Protocol):
    """Turns photos and texts into unit vectors of one shared space.

    Vectors of two encoders may be compared if and only if their fingerprints are equal.
    """

    @property
    def name(self) -> str:
        """What a person calls the model: "builtin", "ViT-B-32/laion2b_s34b_b79k"."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of architecture, weights and preprocessing."""
        ...

    @property
    def dim(self) -> int:
        """Length of every vector."""
        ...

    @property
    def image_size(self) -> int:
        """Pixels a side that the image tower sees; a decoder may stop at twice that."""
        ...

    @property
    def hubness(self) -> Hubness:
        """How the hubness of items is measured and corrected with this model."""
        ...

    def bank(self, kind: Kind) -> Vectors:
        """Return vectors of generic photos or texts. Shape (bank, dim); empty for no correction."""
        ...

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Embed RGB photos. Shape (photos, dim)."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts. Shape (texts, dim)."""
        ...


@runtime_checkable
class TokenEncoder(Encoder, Protocol):
    """An encoder whose image tower can also return the patch tokens that a reranker reads."""

    @property
    def token_shape(self) -> TokenShape | None:
        """Size of a photo's tokens; None if the tower gives none."""
        ...

    def encode_with_tokens(self, images: Sequence[Image.Image]) -> tuple[Vectors, Tokens]:
        """Embed RGB photos. Shapes (photos, dim) and (photos, tokens, width)."""
        ...


@runtime_checkable
class FixedInputEncoder(Encoder, Protocol):
    """An encoder that declares its square input, so that photos are resized when they are decoded.

    `encode_images` gives the same vectors for photos that are resized already.
    """

    @property
    def square(self) -> ImageInputSpec:
        """How a photo is resized to the input of the image tower."""
        ...


@runtime_checkable
class ReleasableEncoder(Encoder, Protocol):
    """An encoder that can free memory between two uses."""

    def rest(self) -> None:
        """Free memory that can be filled again, if it is not needed soon."""
        ...


@runtime_checkable
class VocabularyEncoder(Encoder, Protocol):
    """An encoder that can say which words are in its vocabulary."""

    def knows(self, word: str) -> bool:
        """Return whether a word is read as one token; else it is cut into pieces."""
        ...


@runtime_checkable
class MultilingualEncoder(Encoder, Protocol):
    """An encoder that may have a second text tower, for other languages than English."""

    @property
    def other_languages(self) -> tuple[str, ...]:
        """The codes of the languages that the second tower reads; empty without one."""
        ...

    def is_foreign(self, text: str) -> bool:
        """Return whether a text is read as one in another language than English."""
        ...


@runtime_checkable
class TruncatingEncoder(Encoder, Protocol):
    """An encoder that can say which part of a long text it truncates."""

    def unread(self, text: str) -> str:
        """Return the end of a text that is not read; empty if all of it is."""
        ...


@runtime_checkable
class DeviceEncoder(Encoder, Protocol):
    """An encoder that can say on which device it computes."""

    @property
    def device(self) -> object:
        """The device; as text it is `cpu`, `cuda:0` or the like."""
        ...


def device_of(encoder: Encoder) -> str:
    """Return the device that an encoder computes on; `cpu` where it does not say."""
    return str(encoder.device) if isinstance(encoder, DeviceEncoder) else "cpu"


def checked(vectors: Vectors, *, encoder: Encoder, rows: int) -> Vectors:
    """Check that an encoder gave unit vectors for `rows` inputs, and return them.

    A NaN would rank at random, and a long vector would win every search without being noticed.

    Raises:
        TwinlensError: names the encoder and what is wrong with its vectors.
    """
    wanted = (rows, encoder.dim)
    if vectors.shape != wanted:
        fault = f"vectors of shape {vectors.shape}, not {wanted}"
    elif not np.isfinite(vectors).all():
        fault = "vectors with NaN or infinity in them"
    elif rows and np.abs(np.linalg.norm(vectors, axis=1) - 1.0).max() > UNIT_TOLERANCE:
        fault = "vectors that are not of unit length"
    else:
        return vectors
    raise TwinlensError(f"the encoder {encoder.name!r} gave {fault}; none of them was stored")

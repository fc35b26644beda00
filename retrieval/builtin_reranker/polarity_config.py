"""The shape of the reader of signs, and what all its forms have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from retrieval.models.numpy_layers import Floats


@dataclass(frozen=True, kw_only=True)
class PolarityConfig:
    """Shape of the reader.

    Attributes:
        text_width: length of the text tower's tokens.
        width: inside the reader.
        heads: of its attention.
        expand: how much wider its MLP is inside.
        depth: blocks of the text tower that the sign is read after.
        readers: parts that read a sign, of which the mean counts.
    """

    text_width: int = 384
    width: int = 128
    heads: int = 4
    expand: int = 2
    depth: int = 2
    readers: int = 2


class Polarity(Protocol):
    """A reader of signs: one that learns in torch, or one that only reads."""

    @property
    def config(self) -> PolarityConfig:
        """Its shape."""
        ...

    def weights(self) -> dict[str, Floats]:
        """Return its weights by name."""
        ...

"""Phrases: words, and slots for soft tokens that are in no vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from indexer.core.encoder import Encoder, Vectors

Phrase: TypeAlias = tuple[str | range, ...]
"""Words, and ranges of rows of a table, in the order in which they are read."""


@runtime_checkable
class PhraseEncoder(Encoder, Protocol):
    """An encoder that also reads phrases."""

    def encode_phrases(self, phrases: Sequence[Phrase], table: NDArray[np.float32]) -> Vectors:
        """Embed phrases with slots for rows of a table. Shape (phrases, dim), unit norm."""
        ...

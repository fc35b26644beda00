"""The features of an instruction: tokens after the first blocks of the text tower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from indexer.core.encoder import Encoder, TokenEncoder, Tokens, Vectors
from retrieval.errors import ModelUnavailable
from retrieval.models.numpy_layers import Floats

_BATCH = 64


@runtime_checkable
class InstructionEncoder(TokenEncoder, Protocol):
    """An encoder of the built-in architecture, in torch or without it."""

    @property
    def reads_instructions(self) -> bool:
        """Tell whether its text tower gives tokens."""
        ...

    def embed_tokens(self, tokens: Tokens) -> Vectors:
        """Embed photos by their tokens. (photos, tokens, width) → (photos, dim), unit norm."""
        ...

    def read_early(self, texts: Sequence[str], depth: int) -> list[Floats]:
        """Return tokens after the first blocks of the text tower. Shape (n, text width) each."""
        ...

    def fills(self, text: str) -> bool:
        """Tell whether a text fills all that the tower reads: its end may be left out."""
        ...


def instruction_encoder(encoder: Encoder) -> InstructionEncoder:
    """Return an encoder, once it is known to read instructions.

    Raises:
        ModelUnavailable: it is of another architecture.
    """
    if not isinstance(encoder, InstructionEncoder) or not encoder.reads_instructions:
        raise ModelUnavailable(
            f"the model {encoder.name!r} gives no tokens to a reranker of twinlens; use one "
            "of transformers with it"
        )
    return encoder


class InstructionFeatures:
    """Reads instructions with the text tower of a built-in dual encoder.

    Args:
        encoder: whose tower reads.
        depth: blocks of the tower that read.

    Raises:
        ModelUnavailable: the encoder is of another architecture.
    """

    def __init__(self, encoder: Encoder, depth: int) -> None:
        self._encoder, self._depth = instruction_encoder(encoder), depth

    def early(self, texts: Sequence[str]) -> tuple[Floats, NDArray[np.bool_]]:
        """Return tokens after the first blocks, and where they are. (t, n, text width), (t, n)."""
        once = sorted(set(texts), key=len)
        known: dict[str, Floats] = {}
        for start in range(0, len(once), _BATCH):
            batch = once[start : start + _BATCH]
            read = self._encoder.read_early(batch, self._depth)
            known.update(zip(batch, read, strict=True))
        rows = [known[text] for text in texts]
        states = np.zeros((len(rows), max(map(len, rows)), rows[0].shape[1]), dtype=np.float32)
        seen = np.zeros(states.shape[:2], dtype=np.bool_)
        for number, row in enumerate(rows):
            states[number, : len(row)] = row.astype(np.float16)  # as signs were learned
            seen[number, : len(row)] = True
        return states, seen

    def cuts(self, text: str) -> bool:
        """Tell whether a text fills all that the tower reads: its end may be left out."""
        return self._encoder.fills(text)

"""Texts as a reranker reads them: tokens of the text tower, of queries and of instructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from retrieval.errors import ModelUnavailable
from retrieval.models.encoder import TowerEncoder, batches

_BATCH = 64


class Tokens(NamedTuple):
    """Texts side by side. `states` (t, n, text width); `seen` (t, n); `part` (t,).

    `seen` is False at padding; `part` is 0 for a query, 1 for an instruction.
    """

    states: Tensor
    seen: Tensor
    part: Tensor


class TextReader:
    """Reads queries and instructions with the text tower of a built-in dual encoder.

    Args:
        encoder: whose tower reads.
        keep: remember what was read: in training, texts come again.

    Raises:
        ModelUnavailable: the encoder is of another architecture.
    """

    def __init__(self, encoder: TowerEncoder, *, keep: bool = False) -> None:
        if encoder.text_tower is None:
            raise ModelUnavailable(
                f"the model {encoder.name!r} gives no tokens to a reranker of twinlens; use one "
                "of transformers with it"
            )
        self._tower, self._tokenize = encoder.text_tower, encoder.tokenize
        self._device = encoder.device
        self._kept: dict[str, Tensor] | None = {} if keep else None

    def read(self, queries: Sequence[str], instructions: Sequence[str] = ()) -> Tokens:
        """Return the tokens of queries, and of instructions after them."""
        texts = [*queries, *instructions]
        known = self._states(sorted(set(texts), key=len))
        rows = [known[text] for text in texts]
        states = torch.zeros(len(rows), max(map(len, rows)), rows[0].shape[1], device=self._device)
        seen = torch.zeros(states.shape[:2], dtype=torch.bool, device=self._device)
        for number, row in enumerate(rows):
            states[number, : len(row)] = row.float()
            seen[number, : len(row)] = True
        part = torch.zeros(len(rows), dtype=torch.long, device=self._device)
        part[len(queries) :] = 1
        return Tokens(states, seen, part)

    def cuts(self, text: str) -> bool:
        """Tell whether a text fills all that the tower reads: its end may be left out."""
        return self._tokenize([text]).shape[1] >= len(self._tower.pos_embed)

    def _states(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return each text's tokens. Shape (n, text width), without padding."""
        known = self._kept if self._kept is not None else {}
        for batch in batches([text for text in texts if text not in known], _BATCH):
            known.update(zip(batch, self._forward(batch), strict=True))
        return known

    @torch.no_grad()
    def _forward(self, texts: Sequence[str]) -> list[Tensor]:
        """Run the tower; float16 halves what is kept."""
        tokens = self._tokenize(texts).to(self._device)
        lengths = (tokens != 0).sum(dim=1).tolist()
        states = self._tower.tokens(tokens[:, : max(lengths)]).half()
        return [row[:length].clone() for row, length in zip(states, lengths, strict=True)]

"""Texts as a reranker reads them: tokens of the text tower, of queries and of instructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from retrieval.errors import ModelUnavailable
from retrieval.models.torch_encoder import TorchEncoder, batches

_BATCH = 64


class Tokens(NamedTuple):
    """Texts side by side. `states`, `early` (t, n, text width); `seen` (t, n); `part` (t,).

    `seen` is False at padding; `part` is 0 for a query, 1 for an instruction. `early` are the
    tokens of instructions as the first blocks of the tower leave them; zeros for queries.
    """

    states: Tensor
    seen: Tensor
    part: Tensor
    early: Tensor


class TextReader:
    """Reads queries and instructions with the text tower of a built-in dual encoder.

    Args:
        encoder: whose tower reads.
        depth: blocks of the tower that read `Tokens.early`.
        keep: remember what was read: in training, texts come again.

    Raises:
        ModelUnavailable: the encoder is of another architecture.
    """

    def __init__(self, encoder: TorchEncoder, depth: int, *, keep: bool = False) -> None:
        if encoder.text_tower is None:
            raise ModelUnavailable(
                f"the model {encoder.name!r} gives no tokens to a reranker of twinlens; use one "
                "of transformers with it"
            )
        self._tower, self._tokenize = encoder.text_tower, encoder.tokenize
        self._device, self._depth = encoder.device, depth
        self._kept: dict[str, Tensor] | None = {} if keep else None

    def read(self, queries: Sequence[str], instructions: Sequence[str] = ()) -> Tokens:
        """Return the tokens of queries, and of instructions after them."""
        texts = [*queries, *instructions]
        known = self._states(sorted(set(texts), key=len))
        states, seen = self._beside([known[text] for text in texts])
        part = torch.zeros(len(texts), dtype=torch.long, device=self._device)
        part[len(queries) :] = 1
        early = torch.zeros_like(states)
        if instructions:
            told, _ = self.early(instructions)
            early[len(queries) :, : told.shape[1]] = told
        return Tokens(states, seen, part, early)

    def early(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return tokens after the first blocks, and where they are. (t, n, text width), (t, n)."""
        once = sorted(set(texts), key=len)
        known: dict[str, Tensor] = {}
        for batch in batches(once, _BATCH):
            known.update(zip(batch, self._forward(batch, self._depth), strict=True))
        return self._beside([known[text] for text in texts])

    def _beside(self, rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Put texts side by side, padded, and say where they are. (t, n, text width), (t, n)."""
        states = torch.zeros(len(rows), max(map(len, rows)), rows[0].shape[1], device=self._device)
        seen = torch.zeros(states.shape[:2], dtype=torch.bool, device=self._device)
        for number, row in enumerate(rows):
            states[number, : len(row)] = row.float()
            seen[number, : len(row)] = True
        return states, seen

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
    def _forward(self, texts: Sequence[str], depth: int | None = None) -> list[Tensor]:
        """Run the tower, or its first blocks; float16 halves what is kept."""
        tokens = self._tokenize(texts).to(self._device)
        lengths = (tokens != 0).sum(dim=1).tolist()
        tokens = tokens[:, : max(lengths)]
        states = self._tower.read(self._tower.embed(tokens), tokens != 0, depth).half()
        return [row[:length].clone() for row, length in zip(states, lengths, strict=True)]

"""The features of an instruction: tokens after the first blocks of the text tower."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from retrieval.errors import ModelUnavailable
from retrieval.models.torch_encoder import TorchEncoder, batches

_BATCH = 64


class InstructionFeatures:
    """Reads instructions with the text tower of a built-in dual encoder.

    Args:
        encoder: whose tower reads.
        depth: blocks of the tower that read.

    Raises:
        ModelUnavailable: the encoder is of another architecture.
    """

    def __init__(self, encoder: TorchEncoder, depth: int) -> None:
        if encoder.text_tower is None:
            raise ModelUnavailable(
                f"the model {encoder.name!r} gives no tokens to a reranker of twinlens; use one "
                "of transformers with it"
            )
        self._tower, self._tokenize = encoder.text_tower, encoder.tokenize
        self._device, self._depth = encoder.device, depth

    def early(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return tokens after the first blocks, and where they are. (t, n, text width), (t, n)."""
        once = sorted(set(texts), key=len)
        known: dict[str, Tensor] = {}
        for batch in batches(once, _BATCH):
            known.update(zip(batch, self._forward(batch), strict=True))
        rows = [known[text] for text in texts]
        states = torch.zeros(len(rows), max(map(len, rows)), rows[0].shape[1], device=self._device)
        seen = torch.zeros(states.shape[:2], dtype=torch.bool, device=self._device)
        for number, row in enumerate(rows):
            states[number, : len(row)] = row.float()
            seen[number, : len(row)] = True
        return states, seen

    def cuts(self, text: str) -> bool:
        """Tell whether a text fills all that the tower reads: its end may be left out."""
        return self._tokenize([text]).shape[1] >= len(self._tower.pos_embed)

    @torch.no_grad()
    def _forward(self, texts: Sequence[str]) -> list[Tensor]:
        """Run the first blocks of the tower. Shape (n, text width) each, without padding."""
        tokens = self._tokenize(texts).to(self._device)
        lengths = (tokens != 0).sum(dim=1).tolist()
        tokens = tokens[:, : max(lengths)]
        states = self._tower.read(self._tower.embed(tokens), tokens != 0, self._depth).half()
        return [row[:length].clone() for row, length in zip(states, lengths, strict=True)]

"""The polarity classifier: does an instruction ask for something, forbid it, or do neither?

The polarity is between -1 and 1 and depends only on the words of the instruction: "with grass" and
"no grass" are about the same thing and ask for opposites; "find good photos" does neither. So it is
trained on texts, without photos.

Shapes: b sequences, t texts, n words, h heads, w width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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


class PolarityLayer(nn.Module):
    """Self-attention and MLP, each with a residual; the norm comes first."""

    def __init__(self, config: PolarityConfig, dropout: float) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.expand * width)
        self.fc2 = nn.Linear(config.expand * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Let each token look at the others of its text. (t, n, w), (t, n) → (t, n, w)."""
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        x = x + self.dropout(self.proj(_attention(q, k, v, self.heads, seen)))
        return torch.add(x, self.dropout(self.fc2(F.gelu(self.fc1(self.norm2(x))))))


class PolarityOpinions(nn.Module):
    """Tells from the words of an instruction whether it asks for something or forbids it: twice.

    By turns: each word turns the sign with a chance f, and a chance n is read from all of them that
    nothing is wished, so `sign = (1 - n) Π (1 - 2f)`. "Do not leave out what is not there" turns
    thrice, and a verb is told by its likeness to others, whatever the sentence. As a whole: from
    the mean of the words, weighed by a gate, as a choice of three.
    """

    def __init__(self, config: PolarityConfig, dropout: float) -> None:
        super().__init__()
        width = config.width
        self.from_text = nn.Linear(config.text_width, width)
        self.layer = PolarityLayer(config, dropout)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.turn = nn.Linear(width, 1)
        self.gates = nn.Linear(width, 2)
        self.neither = nn.Linear(width, 1)
        self.verdict = nn.Linear(width, 3)
        nn.init.constant_(self.turn.bias, -3.0)  # most words turn nothing

    def forward(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Judge texts: forbids, neither, asks. (t, n, text width), (t, n) → (2, t, 3)."""
        x = self.dropout(self.norm(self.layer(self.from_text(tokens), seen)))  # (t, n, w)
        gates = (
            self.gates(x).masked_fill(~seen.unsqueeze(-1), _never(x)).softmax(dim=1)
        )  # (t, n, 2)
        read, whole = (gates.transpose(1, 2) @ x).unbind(dim=1)  # (t, w) each
        turns = self.turn(x).squeeze(-1).sigmoid() * seen  # (t, n)
        sign = (1.0 - 2.0 * turns).prod(dim=1)  # (t,)
        neither = self.neither(read).squeeze(-1).sigmoid()  # (t,)
        wished = (1.0 - neither) / 2
        by_turns = torch.stack([wished * (1.0 - sign), neither, wished * (1.0 + sign)], dim=-1)
        return torch.stack([by_turns, self.verdict(whole).softmax(dim=-1)])


class PolarityClassifier(nn.Module):
    """Reads the sign of instructions: the mean of several opinions, each learned by itself.

    Args:
        config: its shape.
        dropout: of each residual branch, in training.
    """

    def __init__(self, config: PolarityConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.readers = nn.ModuleList(
            PolarityOpinions(config, dropout) for _ in range(config.readers)
        )

    def opinions(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Judge texts. (t, n, text width), (t, n) → (opinions, t, 3)."""
        return torch.cat([reader(tokens, seen) for reader in self.readers])

    def forward(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Return the chance that a text asks less the chance that it forbids. → (t,)."""
        forbids, _, asks = self.opinions(tokens, seen).mean(dim=0).unbind(dim=-1)
        return asks - forbids


def _attention(q: Tensor, k: Tensor, v: Tensor, heads: int, seen: Tensor) -> Tensor:
    """Attend with several heads: `softmax(QKᵀ/√(w/h)) V`. (b, n, w) each → (b, n, w)."""
    q, k, v = (_by_head(x, heads) for x in (q, k, v))  # (b, h, n, w/h)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # (b, h, n, n)
    scores = scores.masked_fill(~seen[:, None, None, :], _never(scores))
    attended: Tensor = (scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2)
    return attended


def _by_head(x: Tensor, heads: int) -> Tensor:
    """Split each token's numbers among the heads. (b, n, w) → (b, h, n, w/h)."""
    b, n, w = x.shape
    return x.reshape(b, n, heads, w // heads).transpose(1, 2)


def _never(x: Tensor) -> float:
    """Return a score that no softmax lets through."""
    return torch.finfo(x.dtype).min

"""The reranker's network: words look at the patches of a photo, and one score comes out.

Shapes: t texts, n words, p photos, m image tokens, c couples of a text and a photo, w width.

Both sides are prepared apart, once a text and once a photo. Then, for each couple, the words
attend to each other and to the image tokens, all by softmax attention. The score is read from the
words, each weighed by a learned gate, and from how well each word, as it was before, finds its
like among the image tokens (late interaction).

An instruction is a text of its own, scored like a query and multiplied by a sign between -1 and 1
that is read from its words alone: "with grass" and "no grass" look for the same thing, and want
the contrary; "find good photos" wants neither. So what was learned of captions serves instructions,
too, and signs are learned from texts, without a photo.

Source: Li et al. 2021, ALBEF (arXiv 2107.07651), for cross-attention after two towers; Lee et al.
2018, SCAN (arXiv 1803.08024), for words that find their image regions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Shape of the network.

    Attributes:
        image_tokens: tokens of a photo, the class token first.
        image_width: their length.
        text_width: length of the text tower's tokens.
        width: inside the network.
        heads: of each attention.
        image_layers: layers of the image tokens alone.
        text_layers: layers of the words alone.
        layers: layers in which words attend to image tokens.
        expand: how much wider an MLP is inside.
        sign_width: inside the part that reads signs.
        sign_depth: blocks of the text tower that the sign is read after.
        sign_readers: parts that read a sign, of which the mean counts.
    """

    image_tokens: int = 50
    image_width: int = 192
    text_width: int = 384
    width: int = 256
    heads: int = 4
    image_layers: int = 1
    text_layers: int = 1
    layers: int = 3
    expand: int = 2
    sign_width: int = 128
    sign_depth: int = 2
    sign_readers: int = 2


class Words(NamedTuple):
    """Texts, prepared. `seen` is False at padding; `match` finds its like among image tokens.

    `states` and `match` (t, n, w); `seen` (t, n); `sign` (t,).
    """

    states: Tensor
    seen: Tensor
    sign: Tensor
    match: Tensor


class Sights(NamedTuple):
    """Photos, prepared. `match` (p, m, w); `keys` and `values` (layers, p, m, w)."""

    match: Tensor
    keys: Tensor
    values: Tensor


class Layer(nn.Module):
    """Self-attention and MLP, each with a residual; the norm comes first."""

    def __init__(self, config: NetworkConfig, dropout: float) -> None:
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

    def attend(self, x: Tensor, seen: Tensor | None) -> Tensor:
        """Let each token look at the others of its sequence. (b, n, w) → (b, n, w)."""
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        return torch.add(x, self.dropout(self.proj(_attention(q, k, v, self.heads, seen))))

    def think(self, x: Tensor) -> Tensor:
        """Pass each token through the MLP. (b, n, w) → (b, n, w)."""
        return torch.add(x, self.dropout(self.fc2(F.gelu(self.fc1(self.norm2(x))))))

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """Map (b, n, w) to (b, n, w)."""
        return self.think(self.attend(x, seen))


class CrossLayer(Layer):
    """A layer whose tokens also attend to the image tokens of their couple."""

    def __init__(self, config: NetworkConfig, dropout: float) -> None:
        super().__init__(config, dropout)
        self.norm_query = nn.LayerNorm(config.width)
        self.query = nn.Linear(config.width, config.width)
        self.key_value = nn.Linear(config.width, 2 * config.width)
        self.proj_cross = nn.Linear(config.width, config.width)

    def look(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Let words attend to image tokens. (c, n, w), (c, m, w), (c, m, w) → (c, n, w)."""
        looked = _attention(self.query(self.norm_query(x)), keys, values, self.heads, None)
        return torch.add(x, self.dropout(self.proj_cross(looked)))


class SignOpinions(nn.Module):
    """Tells from the words of an instruction whether it asks for something or forbids it: twice.

    By turns: each word turns the sign with a chance f, and a chance n is read from all of them that
    nothing is wished, so `sign = (1 - n) Π (1 - 2f)`. "Do not leave out what is not there" turns
    thrice, and a verb is told by its likeness to others, whatever the sentence. As a whole: from
    the mean of the words, weighed by a gate, as a choice of three.
    """

    def __init__(self, config: NetworkConfig, dropout: float) -> None:
        super().__init__()
        width = config.sign_width
        self.from_text = nn.Linear(config.text_width, width)
        self.layer = Layer(replace(config, width=width), dropout)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.turn = nn.Linear(width, 1)
        self.gates = nn.Linear(width, 2)
        self.neither = nn.Linear(width, 1)
        self.verdict = nn.Linear(width, 3)
        nn.init.constant_(self.turn.bias, -3.0)  # most words turn nothing

    def forward(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Judge texts: forbids, neither, asks. (t, n, text width), (t, n) → (2, t, 3)."""
        x = self.dropout(self.norm(self.layer(self.from_text(tokens), seen)))  # (t, n, sign width)
        gates = (
            self.gates(x).masked_fill(~seen.unsqueeze(-1), _never(x)).softmax(dim=1)
        )  # (t, n, 2)
        read, whole = (gates.transpose(1, 2) @ x).unbind(dim=1)  # (t, sign width) each
        turns = self.turn(x).squeeze(-1).sigmoid() * seen  # (t, n)
        sign = (1.0 - 2.0 * turns).prod(dim=1)  # (t,)
        neither = self.neither(read).squeeze(-1).sigmoid()  # (t,)
        wished = (1.0 - neither) / 2
        by_turns = torch.stack([wished * (1.0 - sign), neither, wished * (1.0 + sign)], dim=-1)
        return torch.stack([by_turns, self.verdict(whole).softmax(dim=-1)])


class SignReader(nn.Module):
    """Reads the sign of instructions: the mean of several opinions, each learned by itself."""

    def __init__(self, config: NetworkConfig, dropout: float) -> None:
        super().__init__()
        self.readers = nn.ModuleList(
            SignOpinions(config, dropout) for _ in range(config.sign_readers)
        )

    def opinions(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Judge texts. (t, n, text width), (t, n) → (opinions, t, 3)."""
        return torch.cat([reader(tokens, seen) for reader in self.readers])

    def forward(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Return the chance that a text asks less the chance that it forbids. → (t,)."""
        forbids, _, asks = self.opinions(tokens, seen).mean(dim=0).unbind(dim=-1)
        return asks - forbids


class RerankerNetwork(nn.Module):
    """Scores couples of a text and a photo; see the module.

    Args:
        config: its shape.
        dropout: of each residual branch, in training.
    """

    def __init__(self, config: NetworkConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.from_image = nn.Linear(config.image_width, width)
        self.position = nn.Parameter(torch.randn(config.image_tokens, width) * 0.02)
        self.from_text = nn.Linear(config.text_width, width)
        self.part = nn.Parameter(torch.zeros(2, width))  # of a query; of an instruction
        self.sign = SignReader(config, dropout)
        self.image_layers = nn.ModuleList(
            Layer(config, dropout) for _ in range(config.image_layers)
        )
        self.image_norm = nn.LayerNorm(width)
        self.text_layers = nn.ModuleList(Layer(config, dropout) for _ in range(config.text_layers))
        self.layers = nn.ModuleList(CrossLayer(config, dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 1)
        self.verdict = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.word_match = nn.Linear(width, width, bias=False)
        self.image_match = nn.Linear(width, width, bias=False)
        self.sharpness = nn.Parameter(torch.tensor(10.0))  # of a word's search among image tokens
        self.match_scale = nn.Parameter(torch.tensor(10.0))

    def sights(self, tokens: Tensor) -> Sights:
        """Prepare photos. (p, m, image width) → `Sights`."""
        x = self.from_image(tokens) + self.position
        for layer in self.image_layers:
            x = layer(x)
        x = self.image_norm(x)
        both = torch.stack([layer.key_value(x) for layer in self._crossing()])  # (layers, p, m, 2w)
        keys, values = both.chunk(2, dim=-1)
        return Sights(F.normalize(self.image_match(x), dim=-1), keys, values)

    def words(self, tokens: Tensor, seen: Tensor, part: Tensor, early: Tensor) -> Words:
        """Prepare texts.

        Args:
            tokens: of the text tower. (t, n, text width).
            seen: False at padding. (t, n).
            part: 0 for a query, 1 for an instruction. (t,).
            early: of the first blocks of the text tower, where `part` is 1. (t, n, text width).
        """
        x = self.from_text(tokens) + self.part[part].unsqueeze(1)
        for layer in self.text_layers:
            x = layer(x, seen)
        sign = x.new_ones(len(x))
        told = part == 1
        sign[told] = self.sign(early[told], seen[told]).detach()  # couples teach it nothing
        return Words(x, seen, sign, F.normalize(self.word_match(x), dim=-1))

    def score(self, words: Words, sights: Sights, text: Tensor, photo: Tensor) -> Tensor:
        """Score couples: the texts at `text` with the photos at `photo`, each (c,) → (c,)."""
        first, seen = words.states[text], words.seen[text]  # (c, n, w), (c, n)
        x = first
        for number, layer in enumerate(self._crossing()):
            x = layer.attend(x, seen)
            x = layer.look(x, sights.keys[number, photo], sights.values[number, photo])
            x = layer.think(x)
        x = self.norm(x)
        gate = self.gate(x).squeeze(-1).masked_fill(~seen, _never(x)).softmax(dim=-1)  # (c, n)
        read = (gate.unsqueeze(-1) * x).sum(dim=1)  # (c, w)
        found = (gate * self._matches(words, sights, text, photo)).sum(dim=1)  # (c,)
        scored: Tensor = self.verdict(read).squeeze(-1) + self.match_scale * found
        return words.sign[text] * scored

    def _crossing(self) -> Iterator[CrossLayer]:
        """Yield the layers in which words look at photos."""
        return (layer for layer in self.layers if isinstance(layer, CrossLayer))

    def _matches(self, words: Words, sights: Sights, text: Tensor, photo: Tensor) -> Tensor:
        """Say how near each word comes to the image tokens most like it. → (c, n)."""
        cosines = words.match[text] @ sights.match[photo].transpose(1, 2)  # (c, n, m)
        return ((cosines * self.sharpness).softmax(dim=-1) * cosines).sum(dim=-1)


def _attention(q: Tensor, k: Tensor, v: Tensor, heads: int, seen: Tensor | None) -> Tensor:
    """Attend with several heads: `softmax(QKᵀ/√(w/h)) V`. (b, n, w), (b, m, w) → (b, n, w)."""
    q, k, v = (_by_head(x, heads) for x in (q, k, v))  # (b, h, n, w/h), (b, h, m, w/h)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # (b, h, n, m)
    if seen is not None:
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

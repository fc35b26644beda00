"""Train the caption language models of `retrieval.builtin_reranker.caption_lm`.

A model is a decoder of two blocks: each word attends to the words before it and to the patch
tokens, and the next word is predicted. Some captions come without their photo, so that the model
also learns what captions say anyway. Much is dropped at random, because a few thousand photos are
soon memorised. Every second model reads captions from their ends.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval.builtin_reranker.caption_lm import (
    END,
    HEADS,
    LONGEST,
    PADDING,
    START,
    UNKNOWN,
    CaptionLM,
    Places,
    Weights,
    no_telling,
    padded,
    rounded,
    save_teller,
    saved_teller,
    sentence,
)
from retrieval.builtin_reranker.training.features import FeatureSet, Progress, unwatched
from retrieval.instructions.caption_labels import SENTENCE
from retrieval.training.cpu import knows_bfloat16
from retrieval.training.optimizer import schedule

MODELS = 2
"""How many are learned, one from each end. Four or six are surer alone, and rank no better beside
the words that are spotted."""

FEWEST = 1_000
"""Captions below which nothing is learned: they would only be known by heart."""

_SAID = 4  # captions that a word must stand in
_WIDTH, _BLOCKS, _EXPAND = 256, 2, 2
_BATCH, _LR, _WEIGHT_DECAY, _BETAS, _WARMUP, _CLIP = 256, 1e-3, 0.1, (0.9, 0.98), 0.06, 1.0
_DROPOUT, _IMAGE_DROPOUT, _WORD_DROPOUT, _ALONE = 0.3, 0.2, 0.1, 0.1  # shares left out
_SMOOTHING = 0.1
_EMA, _EARLY_EMA, _EARLY = 0.01, 0.1, 200  # share of a step in the average; at first, and how long


class _Dropout(nn.Module):
    """Leave out a share of the numbers, to one in 256, and make up for it.

    Torch draws random bits for each number by itself; here each draw serves eight.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.dropped = round(256 * share)

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to the same."""
        if not self.training:
            return x
        drawn = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(1 << 63), None)
        kept = drawn.view(torch.uint8)[: x.numel()].view_as(x) >= self.dropped
        return x * kept * (256 / (256 - self.dropped))


class _Block(nn.Module):
    """Words look at those before them, at the photo, and think."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.look = nn.Linear(width, width)
        self.norm3 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, _EXPAND * width)
        self.fc2 = nn.Linear(_EXPAND * width, width)
        self.dropout = _Dropout(_DROPOUT)

    def forward(self, x: Tensor, sights: Tensor) -> Tensor:
        """Map words (b, n, w) beside photos (b, m, w) to (b, n, w)."""
        q, k, v = map(_by_head, self.qkv(self.norm1(x)).chunk(3, dim=-1))
        x = x + self.dropout(self.proj(_attend(q, k, v, causal=True)))
        q = _by_head(self.query(self.norm2(x)))
        k, v = map(_by_head, self.key_value(sights).chunk(2, dim=-1))
        x = x + self.dropout(self.look(_attend(q, k, v)))
        inner = F.gelu(self.fc1(self.norm3(x)), approximate="tanh")
        return torch.add(x, self.dropout(self.fc2(inner)))


class CaptionModel(nn.Module):
    """A language model of captions beside photos; its weights are those that a `CaptionLM` reads.

    Args:
        words: of the vocabulary, marks and all.
        tokens: of a photo. Shape (m, d); their mean and spread make others standard.
    """

    def __init__(self, words: int, tokens: Tensor) -> None:
        super().__init__()
        _, m, d = tokens.shape
        self.embed = nn.Embedding(words, _WIDTH)
        nn.init.normal_(self.embed.weight, std=0.05)
        self.place = nn.Parameter(torch.randn(LONGEST + 2, _WIDTH) * 0.02)
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", tokens.mean(dim=(0, 1)))
        self.register_buffer("spread", tokens.std(dim=(0, 1)).clamp(min=1e-3))
        self.image = nn.Linear(d, _WIDTH)
        self.patch = nn.Parameter(torch.randn(m, _WIDTH) * 0.02)
        self.seen = nn.LayerNorm(_WIDTH)
        self.nothing = nn.Parameter(torch.randn(1, 1, _WIDTH) * 0.02)
        self.blocks = nn.ModuleList(_Block(_WIDTH) for _ in range(_BLOCKS))
        self.norm = nn.LayerNorm(_WIDTH)
        self.bias = nn.Parameter(torch.zeros(words))
        self.dropout, self.blinking = _Dropout(_DROPOUT), _Dropout(_IMAGE_DROPOUT)

    def sights(self, tokens: Tensor) -> Tensor:
        """Prepare photos. (b, m, d) → (b, m, w)."""
        standard = (tokens - self.mean) / self.spread
        prepared: Tensor = self.seen(self.image(standard) + self.patch)
        return prepared

    def without(self) -> Tensor:
        """Return what stands for no photo. Shape (1, 1, w)."""
        nothing: Tensor = self.seen(self.nothing)
        return nothing

    def forward(self, ids: Tensor, sights: Tensor) -> Tensor:
        """Return the logits of the word after each. (b, n), (b, m, w) → (b, n, words)."""
        x = self.dropout(self.embed(ids) + self.place[: ids.shape[1]])
        for block in self.blocks:
            x = block(x, sights)
        logits: Tensor = self.dropout(self.norm(x)) @ self.embed.weight.T + self.bias
        return logits


def learn_telling(  # noqa: PLR0913 - one a setting
    material: FeatureSet,
    epochs: int,
    seed: int,
    note: Callable[[str], None],
    out: Path | None = None,
    fewest: int = FEWEST,
    *,
    progress: Progress = unwatched,
) -> CaptionLM:
    """Learn models of the captions of a material; none of too few captions.

    Args:
        material: to learn from; names and labels among its captions are left out.
        epochs: passes over the captions.
        seed: of the first model; the others have the next.
        note: receives how far it is.
        out: folder in which each model is kept as it is learned; a run that was killed goes on
            with the next.
        fewest: captions below which nothing is learned.
        progress: called after each step, of all models.
    """
    told = [row for row, text in enumerate(material.captions) if len(text.split()) >= SENTENCE]
    if not epochs or len(told) < fewest:
        return no_telling()
    captions = [material.captions[row] for row in told]
    run = _mark(captions, epochs, seed)
    teller = (saved_teller(out, run) if out else None) or CaptionLM(
        words=_words(captions), models=()
    )
    read = [teller.read(caption) for caption in captions]
    owner = torch.from_numpy(material.owner[told])
    views = torch.stack(material.views, dim=1)  # (photos, views, m, d)
    for number in range(len(teller.models), MODELS):
        direction = -1 if number % 2 else 1
        rows = [[START, *each[::direction], END] for each in read]
        torch.manual_seed(seed + number)
        model = CaptionModel(len(teller.words) + UNKNOWN + 1, material.views[0].float())
        loss = _learn(model, rows, owner, views, _Schedule(epochs, number, progress))
        note(f"captions read {'forwards' if direction > 0 else 'backwards'}: loss {loss:.3f}")
        teller = replace(teller, models=(*teller.models, rounded(_weights(model))))
        if out:
            save_teller(teller, out, run)
    return teller


def _words(captions: Sequence[str]) -> tuple[str, ...]:
    """Return the words that captions say often enough, those said most first."""
    count = Counter(word for caption in captions for word in set(sentence(caption)))
    return tuple(word for word, often in count.most_common() if often >= _SAID)


def _mark(captions: Sequence[str], epochs: int, seed: int) -> str:
    """Tell one run from another."""
    said = json.dumps([epochs, seed, *captions])
    return hashlib.sha256(said.encode()).hexdigest()


@dataclass(frozen=True)
class _Schedule:
    """How long a model learns, how many were learned before it, and who is told."""

    epochs: int
    before: int
    progress: Progress


def _learn(
    model: CaptionModel,
    rows: list[list[int]],
    owner: Tensor,
    views: Tensor,
    plan: _Schedule,
) -> float:
    """Learn captions; the model ends up as its running average. Returns the last loss."""
    held = list(model.parameters())
    matrices = [weight for weight in held if weight.ndim > 1]
    others = [weight for weight in held if weight.ndim < 2]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": _WEIGHT_DECAY},
            {"params": others, "weight_decay": 0},
        ],
        betas=_BETAS,
    )
    average = [weight.detach().clone() for weight in held]
    quick = torch.bfloat16 if knows_bfloat16() else torch.float32
    working = copy.deepcopy(model).to(quick)  # what is computed; the weights are kept exactly
    orders = [torch.randperm(len(rows)) for _ in range(plan.epochs)]
    every = [some for order in orders for some in torch.split(order, _BATCH)]
    for step, chosen in enumerate(every):
        loss = _loss(working, padded([rows[row] for row in chosen.tolist()]), owner[chosen], views)
        working.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for weight, used in zip(held, working.parameters(), strict=True):
            weight.grad = used.grad.float() if used.grad is not None else None
        nn.utils.clip_grad_norm_(held, _CLIP)
        for group in optimizer.param_groups:
            group["lr"] = _LR * schedule(step, len(every), _WARMUP)
        optimizer.step()
        with torch.no_grad():
            for weight, used, kept in zip(held, working.parameters(), average, strict=True):
                used.copy_(weight)
                kept.lerp_(weight, _EMA if step > _EARLY else _EARLY_EMA)
        plan.progress(plan.before * len(every) + step + 1, MODELS * len(every))
    with torch.no_grad():
        for weight, kept in zip(held, average, strict=True):
            weight.copy_(kept)
    return loss.item()


def _loss(model: CaptionModel, ids: Places, owner: Tensor, views: Tensor) -> Tensor:
    """Guess each word of captions (b, n) beside a view of their photos, or beside none."""
    seen = views[owner, torch.randint(views.shape[1], owner.shape)]  # (b, m, d)
    sights = model.blinking(model.sights(seen.to(model.place.dtype)))
    alone = torch.rand(len(owner), 1, 1) < _ALONE
    sights = torch.where(alone, model.without().expand_as(sights), sights)
    whole = torch.from_numpy(ids)
    given, following = whole[:, :-1].clone(), whole[:, 1:]
    given[(torch.rand(given.shape) < _WORD_DROPOUT) & (given > END)] = UNKNOWN
    logits = model(given, sights).flatten(0, 1).float()
    return F.cross_entropy(
        logits, following.flatten(), ignore_index=PADDING, label_smoothing=_SMOOTHING
    )


def _weights(model: CaptionModel) -> Weights:
    """Return the weights as arrays."""
    return {name: weight.detach().float().numpy() for name, weight in model.state_dict().items()}


def _attend(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """Attend: `softmax(QKᵀ/√(w/h)) V`. (b, h, n, w/h), (b, h, m, w/h) → (b, n, w).

    Spelled out, as in the towers: the fused kernel's backward pass is slow on a CPU.
    """
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, torch.finfo(scores.dtype).min)
    attended: Tensor = (scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2)
    return attended


def _by_head(x: Tensor) -> Tensor:
    """Split each token's numbers among the heads. (b, n, w) → (b, h, n, w/h)."""
    b, n, w = x.shape
    return x.view(b, n, HEADS, w // HEADS).transpose(1, 2)

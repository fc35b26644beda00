"""Train the polarity classifier on texts that ask for something, forbid it, or do neither.

Their subjects are drawn from the captions, so that the polarity depends only on the wording.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from retrieval.builtin_reranker.polarity_classifier import PolarityClassifier, PolarityConfig
from retrieval.builtin_reranker.text_features import InstructionFeatures
from retrieval.builtin_reranker.training.training_config import RerankerTraining
from retrieval.instructions.templates import LOOK, Ask, InstructionTemplates
from retrieval.training.optimizer import schedule

_SHARES = {
    Ask.WITH: 0.31,
    Ask.WITHOUT: 0.33,
    Ask.PREFER: 0.05,
    Ask.LOOK: 0.06,
    Ask.NOT_LOOK: 0.06,
    Ask.EITHER: 0.05,
    Ask.ANYTHING: 0.14,
}
_DROPOUT, _WEIGHT_DECAY, _WARMUP, _CLIP = 0.2, 0.1, 0.05, 1.0
_LEAST = 1e-4  # chance, so that a wrong one costs no more than 9
_SMOOTHING = 0.1  # share of a label that is spread over all three: no wording is sure
_TWO = 0.1  # share of the texts that are about two things
_THING = re.compile(r"\b(?:a|an|the|two|three|some) (?:[a-z]+ )?[a-z]+\b")
_JOINTS = "a an and are as at by from her his in into is its of on or that the to while who with"
_NO_END = frozenset(_JOINTS.split())


class PolarityExamples:
    """Makes lessons of wordings.

    Args:
        grammar: whose learned templates are filled.
        captions: whose things fill them, but for those that the grammar holds back.
    """

    def __init__(self, grammar: InstructionTemplates, captions: Iterable[str]) -> None:
        self._grammar = grammar
        held = {word for each in grammar.attributes if grammar.is_held(each) for word in each.words}
        named = [each for each in grammar.attributes if not grammar.is_held(each)]
        looks = [each.phrase for each in named if each.family == LOOK]
        self._looks = [*looks, *grammar.looks]
        things = [each.phrase for each in named if each.family != LOOK]
        told = {
            thing for text in captions for thing in _things(text) if held.isdisjoint(thing.split())
        }
        self._things = [*things, *sorted(told)]

    def draw(self, count: int, rng: np.random.Generator) -> tuple[list[str], NDArray[np.int64]]:
        """Draw texts and their signs, -1, 0 or 1. Shape (count,)."""
        chosen = rng.choice(len(_SHARES), size=count, p=list(_SHARES.values()))
        asks = [list(_SHARES)[number] for number in chosen]
        texts = [self._grammar.draw(ask, self._phrase(ask, rng), rng) for ask in asks]
        return texts, np.array([ask.sign for ask in asks], dtype=np.int64)

    def _phrase(self, ask: Ask, rng: np.random.Generator) -> str:
        """Draw what an instruction is about."""
        some: Sequence[str] = self._looks if ask in (Ask.LOOK, Ask.NOT_LOOK) else self._things
        one, other = (str(each) for each in rng.choice(some, size=2))
        if rng.random() >= _TWO:
            return one
        return f"{one} {'and' if rng.random() < 0.5 else 'or'} {other}"


def learn_signs(
    lessons: PolarityExamples,
    reader: InstructionFeatures,
    shape: PolarityConfig,
    training: RerankerTraining,
    watch: Callable[[int, float], None] = lambda _step, _loss: None,
) -> PolarityClassifier:
    """Learn to tell wordings apart into what forbids, what asks, and neither.

    Args:
        lessons: the wordings.
        reader: of their words.
        shape: of what learns.
        training: of its settings, steps, signs, lr and seed count.
        watch: called after each step with the steps done and the loss.
    """
    torch.manual_seed(training.seed)
    signs = PolarityClassifier(shape, _DROPOUT)
    optimizer = torch.optim.AdamW(signs.parameters(), lr=training.lr, weight_decay=_WEIGHT_DECAY)
    rng = np.random.default_rng(training.seed)
    for step in range(training.steps):
        optimizer.param_groups[0]["lr"] = training.lr * schedule(step, training.steps, _WARMUP)
        texts, told = lessons.draw(training.signs, rng)
        loss = sign_loss(signs.opinions(*reader.early(texts)), torch.from_numpy(told))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(signs.parameters(), _CLIP)
        optimizer.step()
        watch(step + 1, loss.item())
    return signs.eval()


def sign_loss(opinions: Tensor, signs: Tensor) -> Tensor:
    """Return the cross-entropy of each opinion with smoothed labels, their mean, a scalar.

    Args:
        opinions: chances that texts forbid, do neither, ask. Shape (opinions, texts, 3).
        signs: -1, 0 or 1. Shape (texts,).
    """
    wanted = F.one_hot(signs + 1, 3) * (1.0 - _SMOOTHING) + _SMOOTHING / 3
    return -(wanted * opinions.clamp(min=_LEAST).log()).sum(dim=-1).mean()


def _things(caption: str) -> Iterator[str]:
    """Yield the things that a caption names, "a black dog"; what follows them is cut off."""
    for found in _THING.findall(caption.lower()):
        words = found.split()
        while words[-1] in _NO_END and len(words) > 1:
            words.pop()
        if len(words) > 1:
            yield " ".join(words)

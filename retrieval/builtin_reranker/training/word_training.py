"""Train the word detectors: linear classifiers, by logistic regression.

Each photo with captions, in all its views, has the share of its captions that say a word as its
target. Names alone ("dragonfly") say nothing about what is absent, so photos with nothing else are
left out.

Groups of words that are often said together are drawn, too: captions are clustered by their
vectors, and each cluster gives a few groups of its words.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval.builtin_reranker.training.features import FeatureSet, Progress, unwatched
from retrieval.builtin_reranker.word_detectors import Floats, WordDetectors, looked, no_words
from retrieval.instructions.caption_labels import SENTENCE
from retrieval.instructions.templates import InstructionTemplates, words_of
from retrieval.training.optimizer import schedule

_FEWEST = 5  # photos that a word must be said of
_EPOCHS, _BATCH = 10, 256
_LR, _WEIGHT_DECAY, _DROPOUT = 1e-3, 0.05, 0.2
_FLAT = 1e-3  # spread below which a number tells nothing
_GATHERINGS, _EACH, _SIZE = 400, 5, 6  # of captions; handfuls of each; words of a handful
_JOINTS = "a the in on of and is with to at an are it for from by as that this while"

_Said = Sequence[set[str]]
"""The words of each caption of a photo."""


def learn_words(
    material: FeatureSet,
    grammar: InstructionTemplates,
    seed: int = 0,
    progress: Progress = unwatched,
) -> WordDetectors:
    """Learn a detector for every word that captions of several photos say.

    Args:
        material: to learn from.
        grammar: whose ways to ask tell which words mean nothing: "picture", "show".
        seed: of the order and of what is dropped.
        progress: called after each step.
    """
    said = _said(material)
    words = _worth_learning(list(said.values()), grammar)
    if not words:
        return no_words()
    photos = list(said)
    looks = np.concatenate([looked(view[photos].float().numpy()) for view in material.views])
    mean, spread = looks.mean(axis=0), np.maximum(looks.std(axis=0), _FLAT)
    standard = torch.from_numpy((looks - mean) / spread)  # (p * views, 4d)
    shares = torch.from_numpy(_shares(list(said.values()), words))  # (p, v)
    detectors = _fitted(standard, shares.repeat(len(material.views), 1), seed, progress)
    with torch.no_grad():
        usual = F.logsigmoid(detectors(standard)).mean(dim=0)
    return WordDetectors(
        words=words,
        mean=mean,
        spread=spread,
        weights=detectors.weight.detach().numpy(),
        bias=detectors.bias.detach().numpy(),
        usual=usual.numpy(),
        handfuls=_handfuls(material, words, seed),
    )


def _said(material: FeatureSet) -> dict[int, _Said]:
    """Return the words of each caption of the photos that are described."""
    captions: dict[int, list[str]] = {}
    for text, photo in zip(material.captions, material.owner.tolist(), strict=True):
        captions.setdefault(photo, []).append(text)
    return {
        photo: [words_of(text) for text in texts]
        for photo, texts in captions.items()
        if any(len(text.split()) >= SENTENCE for text in texts)
    }


def _worth_learning(said: Sequence[_Said], grammar: InstructionTemplates) -> tuple[str, ...]:
    """Return the words that are said of several photos, but for those of instructions."""
    count = Counter(word for captions in said for word in set().union(*captions))
    named = {word for each in grammar.attributes for word in words_of(each.phrase)}
    mute = words_of(_JOINTS) | (grammar.frame() - named)
    return tuple(sorted(w for w, photos in count.items() if photos >= _FEWEST and w not in mute))


def _shares(said: Sequence[_Said], words: Sequence[str]) -> Floats:
    """Return the share of each photo's captions that say each word. (p, v)."""
    places = {word: place for place, word in enumerate(words)}
    shares = np.zeros((len(said), len(words)), dtype=np.float32)
    for row, captions in enumerate(said):
        for caption in captions:
            shares[row, [places[word] for word in caption if word in places]] += 1 / len(captions)
    return shares


def _handfuls(material: FeatureSet, words: Sequence[str], seed: int) -> NDArray[np.int32]:
    """Draw words that are often said together. (b, s)."""
    rng = np.random.default_rng(seed)
    told = [row for row, text in enumerate(material.captions) if len(text.split()) >= SENTENCE]
    texts = material.texts[told]
    centres = texts[rng.permutation(len(texts))[:_GATHERINGS]]
    nearest = np.concatenate([(part @ centres.T).argmax(axis=1) for part in _parts(texts)])
    said = [words_of(material.captions[row]) for row in told]
    drawn = []
    for centre in range(len(centres)):
        how_often = _how_often([said[row] for row in np.flatnonzero(nearest == centre)], words)
        if np.count_nonzero(how_often) >= _SIZE:
            chance = how_often / how_often.sum()
            drawn += [rng.choice(len(words), _SIZE, replace=False, p=chance) for _ in range(_EACH)]
    return np.array(drawn, dtype=np.int32).reshape(-1, _SIZE)


def _parts(texts: Floats) -> list[Floats]:
    """Cut rows into blocks of some thousand."""
    return np.array_split(texts, -(-len(texts) // 4096))


def _how_often(said: Sequence[set[str]], words: Sequence[str]) -> NDArray[np.float64]:
    """Count the captions that say each word. (v,)."""
    count = Counter(word for caption in said for word in caption)
    return np.array([count[word] for word in words], dtype=np.float64)


def _fitted(looks: Tensor, shares: Tensor, seed: int, progress: Progress) -> nn.Linear:
    """Fit detectors to what standard looks show. (p, 4d), (p, v)."""
    torch.manual_seed(seed)
    detectors = nn.Linear(looks.shape[1], shares.shape[1])
    with torch.no_grad():
        detectors.weight.mul_(0.1)
        detectors.bias.copy_(torch.logit(shares.mean(dim=0), eps=1e-6))
    optimizer = torch.optim.AdamW(detectors.parameters(), lr=_LR, weight_decay=_WEIGHT_DECAY)
    steps = _EPOCHS * math.ceil(len(looks) / _BATCH)
    batches = [
        some for _ in range(_EPOCHS) for some in torch.split(torch.randperm(len(looks)), _BATCH)
    ]
    for step, chosen in enumerate(batches):
        optimizer.param_groups[0]["lr"] = _LR * schedule(step, steps, 0.0)
        logits = detectors(F.dropout(looks[chosen], _DROPOUT))
        loss = F.binary_cross_entropy_with_logits(logits, shares[chosen], reduction="sum")
        (loss / len(chosen)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        progress(step + 1, len(batches))
    return detectors

"""Word detectors: one linear classifier per word, which reads the whole photo.

    spotted(text, photo) = Σ (log p(word | photo) - mean of log p(word))
    score(text, photo) = spotted(text, photo) - 4 n / (n + 2) · h(photo)
    odds(text, photo) = log P - log (1 - P), where log P = Σ log p(word | photo)

The sums are over the n words of the text that have a detector; the mean is over the training
photos. The detectors read a text as a bag of words, and the dual encoder reads it as one vector. So
they make different errors, and both together find more than either.

On some photos almost any word is detected. h is what common groups of words score on a photo: the
mean of its 50 best groups, each by the mean of its words. It lowers the scores of such photos, more
for texts of more words (see `indexer.calibration.hubness`).

Constraints are scored by log-odds, because they may require or forbid something, so confident
positives and confident negatives must separate equally well. A query uses log-likelihood, which
separates only the positives.

Shapes: t texts, p photos, m patch tokens, d length of a token, v words, b groups of s words.

Source: Fang et al. 2015, From captions to visual concepts and back (arXiv 1411.4952), for words of
captions as detectors; Ponte and Croft 1998, A language modeling approach to information retrieval,
for the likelihood of a query as its score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from indexer.core.atomic_io import replacing
from retrieval.errors import ModelUnavailable
from retrieval.instructions.templates import words_of

WORDS = "words.safetensors"

_HELD, _FEW, _BEST = 4.0, 2, 50  # chosen on Flickr8k's dev photos, as the weights of the fusion

_LEAST = 1e-9  # what nothing is surer than


Floats = NDArray[np.float32]


def _no_handfuls() -> NDArray[np.int32]:
    """Return no words said together."""
    return np.zeros((0, 1), dtype=np.int32)


@dataclass(frozen=True, kw_only=True, eq=False)
class WordDetectors:
    """The detectors.

    Attributes:
        words: what they are for, as `words_of` returns them.
        mean: of what they look at. Shape (4d,).
        spread: of what they look at. Shape (4d,).
        weights: of what they look at, once its mean is 0 and its spread 1. Shape (v, 4d).
        bias: log-odds of each word on such a photo. Shape (v,).
        usual: mean of log p. Shape (v,).
        handfuls: places of words that are often said together. Shape (b, s); with none, nothing
            is held back.
    """

    words: tuple[str, ...]
    mean: Floats
    spread: Floats
    weights: Floats
    bias: Floats
    usual: Floats
    handfuls: NDArray[np.int32] = field(default_factory=_no_handfuls)

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each word stands."""
        return {word: place for place, word in enumerate(self.words)}

    def named(self, text: str) -> list[int]:
        """Return the places of the words that a text names."""
        return sorted(self._places[word] for word in words_of(text) if word in self._places)

    def score(self, texts: Sequence[str], tokens: Floats) -> NDArray[np.float64]:
        """Score every text with every photo. (t), (p, m, d) → (t, p)."""
        named = [self.named(text) for text in texts]
        count = np.array([len(places) for places in named])
        if not len(self.handfuls) or not count.any():
            return self.spotted(texts, tokens)
        every = self._seen(range(len(self.words)), tokens)
        spotted = np.stack([every[:, places].sum(axis=1) for places in named])
        held: NDArray[np.float64] = np.outer(_HELD * count / (count + _FEW), self._anything(every))
        return spotted - held

    def spotted(self, texts: Sequence[str], tokens: Floats) -> NDArray[np.float64]:
        """Return how likely photos show the words of each text. (t), (p, m, d) → (t, p)."""
        return self._summed(texts, tokens, self._seen)

    def odds(self, texts: Sequence[str], tokens: Floats) -> NDArray[np.float64]:
        """Return the log-odds that a photo shows all words of a text. (t), (p, m, d) → (t, p).

        Confident positives and confident negatives separate equally well, so a constraint may
        require or forbid the words. 0 for a text without a known word.
        """
        log_p = np.minimum(self._summed(texts, tokens, self._log_p), -_LEAST)
        known = np.array([bool(self.named(text)) for text in texts])
        return np.where(known[:, None], log_p - np.log(-np.expm1(log_p)), 0.0)

    def _summed(
        self,
        texts: Sequence[str],
        tokens: Floats,
        told: Callable[[Sequence[int], Floats], NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        """Add up what is told of the words of each text; each word is looked for once. (t, p)."""
        named = [self.named(text) for text in texts]
        asked = sorted({place for places in named for place in places})
        if not asked:
            return np.zeros((len(texts), len(tokens)))
        seen = told(asked, tokens)
        column = {place: number for number, place in enumerate(asked)}
        rows = [seen[:, [column[place] for place in places]].sum(axis=1) for places in named]
        return np.stack(rows)

    def _log_p(self, asked: Sequence[int], tokens: Floats) -> NDArray[np.float64]:
        """Return log p of some words. (p, m, d) → (p, asked)."""
        looks = (looked(tokens) - self.mean) / self.spread
        log_odds = looks @ self.weights[asked].T + self.bias[asked]
        log_p: NDArray[np.float64] = -np.logaddexp(0.0, -log_odds.astype(np.float64))
        return log_p

    def _seen(self, asked: Sequence[int], tokens: Floats) -> NDArray[np.float64]:
        """Return log p of some words, less its mean. (p, m, d) → (p, asked)."""
        return self._log_p(asked, tokens) - self.usual[asked]

    def _anything(self, every: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return h, what common groups of words score on photos. (p, v) → (p,)."""
        reached = sum(every[:, places] for places in self.handfuls.T) / self.handfuls.shape[1]
        best = min(_BEST, len(self.handfuls))
        means: NDArray[np.float64] = np.partition(reached, -best, axis=1)[:, -best:].mean(axis=1)
        return means


def no_words() -> WordDetectors:
    """Return detectors without a word, which score 0."""
    none = np.zeros(0, dtype=np.float32)
    return WordDetectors(
        words=(),
        mean=np.zeros(1, dtype=np.float32),
        spread=np.ones(1, dtype=np.float32),
        weights=np.zeros((0, 1), dtype=np.float32),
        bias=none,
        usual=none,
    )


def looked(tokens: Floats) -> Floats:
    """Return the features of the detectors: class token; mean, maximum and spread of the patches.

    (p, m, d) → (p, 4d).
    """
    patches = tokens[:, 1:]
    parts = [tokens[:, 0], patches.mean(axis=1), patches.max(axis=1), patches.std(axis=1)]
    return np.concatenate(parts, axis=1, dtype=np.float32)


def save_spotter(spotter: WordDetectors, folder: Path) -> None:
    """Write `words.safetensors`: numbers as float16, places as int32, words in its header."""
    arrays = {name: getattr(spotter, name).astype(np.float16) for name in _NUMBERS}
    arrays[_PLACES] = spotter.handfuls
    with replacing(folder / WORDS) as part:
        part.write_bytes(save(arrays, metadata={"words": " ".join(spotter.words)}))


def load_spotter(folder: Path) -> WordDetectors:
    """Read what `save_spotter` wrote.

    Raises:
        ModelUnavailable: the file is missing, or damaged.
    """
    path = folder / WORDS
    try:
        with safe_open(path, framework="numpy") as opened:
            words = tuple(opened.metadata()["words"].split())
            arrays = {name: opened.get_tensor(name).astype(np.float32) for name in _NUMBERS}
            known = _PLACES in list(opened.keys())  # the first rerankers held nothing back
            handfuls = opened.get_tensor(_PLACES) if known else _no_handfuls()
    except FileNotFoundError as error:
        raise ModelUnavailable(f"reranker '{folder}' lacks {WORDS}") from error
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise ModelUnavailable(f"'{path}' is damaged or of another kind: {error}") from error
    return WordDetectors(words=words, handfuls=handfuls, **arrays)


_PLACES = "handfuls"
_NUMBERS = tuple(each.name for each in fields(WordDetectors) if each.name not in ("words", _PLACES))

"""How likely a caption is of a photo: small language models that look at image tokens.

    told(text, photo) = 1.5 Σ (log p(word | other words, photo) - log p(word | other words))

over the words of the text that are known, and the mean over the models: one reads from the left,
one from the right, so that "other words" are those before it and those behind it. A model has
learned to do without a photo, too: that is the second term. Texts of few words tell nothing, since
captions do not begin with a bare name.

Detectors of words (`retrieval.reranking.spotting`) know a text as a bag of words; these know what
follows what. Both are log-likelihoods, and are added up; these are surer, and count more.

In numpy: a search by words loads no torch.

Shapes: t texts, p photos, c couples, n words of a text with its marks, m image tokens, h heads.

Source: Church and Hanks 1990, for mutual information of words; Vaswani et al. 2017, Attention is
all you need (arXiv 1706.03762), for a decoder that attends to what it describes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from indexer.segments import replacing
from retrieval.errors import ModelUnavailable

TELLING = "telling.safetensors"

PADDING, START, END, UNKNOWN = range(4)
"""What stands before the words in a vocabulary."""

HEADS = 4
LONGEST = 24  # words of a text that are read
SHORTEST = 4  # words below which a text is a name, not a caption

_SURER = 1.5  # chosen on Flickr8k's dev photos, as the weights of the fusion
_COUPLES = 64  # told at once: 15 MB of keys and values
_NEVER = -1e9

_FRAME = re.compile(r"^\s*(?:an? |the |some )?(?:photo|photograph|picture|image)s? of ")
_WORD = re.compile(r"[a-z]+")
_PLURAL = re.compile(r"(?<=...)s$")

Floats: TypeAlias = NDArray[np.float32]
Places: TypeAlias = NDArray[np.int64]
Weights: TypeAlias = Mapping[str, Floats]


def sentence(text: str) -> list[str]:
    """Return the words of a text in their order, in small letters, without the s of a plural.

    What "a photo of" stands before is the caption: it would say so of every photo.
    """
    said = _FRAME.sub("", text.lower())
    return [_PLURAL.sub("", word) for word in _WORD.findall(said)][:LONGEST]


@dataclass(frozen=True, kw_only=True, eq=False)
class Teller:
    """The models.

    Attributes:
        words: that they know, after the four marks.
        models: weights of each; the first reads from the left, the second from the right, and so
            on. With none, every text is as likely with a photo as without.
    """

    words: tuple[str, ...]
    models: tuple[Weights, ...]

    def score(
        self, texts: Sequence[str], tokens: Floats, text: Sequence[int], photo: Sequence[int]
    ) -> NDArray[np.float64]:
        """Say how much likelier texts are with photos than without. Shape (c,).

        Args:
            texts: (t).
            tokens: of the photos. (p, m, d).
            text: which texts, in couples. (c,).
            photo: which photos. (c,).
        """
        told = np.zeros(len(text))
        read = [self.read(each) for each in texts]
        couples = np.array([text, photo], dtype=np.int64).T.reshape(-1, 2)
        wanted = [len(read[row]) >= SHORTEST for row in couples[:, 0]]
        if not self.models or not any(wanted):
            return told
        asked, back = np.unique(couples[wanted], axis=0, return_inverse=True)
        for number, weights in enumerate(self.models):
            ids = [_marked(words[:: -1 if number % 2 else 1]) for words in read]
            told[wanted] += _told(weights, ids, tokens, asked)[back.reshape(-1)]
        return _SURER * told / len(self.models)

    def read(self, text: str) -> list[int]:
        """Return the places of a text's words in the vocabulary."""
        return [self._places.get(word, UNKNOWN) for word in sentence(text)]

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each word stands."""
        return {word: place for place, word in enumerate(self.words, start=UNKNOWN + 1)}


def no_telling() -> Teller:
    """Return a teller without a model."""
    return Teller(words=(), models=())


def padded(rows: Sequence[Sequence[int]]) -> Places:
    """Make rows of one length. Shape (rows, n)."""
    ids = np.full((len(rows), max(map(len, rows))), PADDING, dtype=np.int64)
    for row, each in zip(ids, rows, strict=True):
        row[: len(each)] = each
    return ids


def _marked(words: Sequence[int]) -> list[int]:
    """Put the marks around a text."""
    return [START, *words, END]


def _told(
    weights: Weights, ids: Sequence[list[int]], tokens: Floats, couples: Places
) -> NDArray[np.float64]:
    """Compare texts with and without their photos. Couples (c, 2) of places → (c,)."""
    texts, text = np.unique(couples[:, 0], return_inverse=True)
    photos, photo = np.unique(couples[:, 1], return_inverse=True)
    rows = [ids[place] for place in texts]
    alone = _likely(weights, rows, _keys(weights, _nothing(weights)), np.zeros(len(rows), int))
    seen = _keys(weights, _sights(weights, tokens[photos]))
    return _likely(weights, [rows[place] for place in text], seen, photo) - alone[text]


def _likely(
    weights: Weights, rows: Sequence[list[int]], seen: list[tuple[Floats, Floats]], photo: Places
) -> NDArray[np.float64]:
    """Sum log p of the known words of texts, each beside a photo. Shape (rows,)."""
    parts = [np.zeros(0)]
    for start in range(0, len(rows), _COUPLES):
        ids, beside = padded(rows[start : start + _COUPLES]), photo[start : start + _COUPLES]
        logits = _decoded(weights, ids[:, :-1], [(k[beside], v[beside]) for k, v in seen])
        following = ids[:, 1:]
        top = logits.max(axis=-1, keepdims=True)
        total = np.log(np.exp(logits - top).sum(axis=-1)) + top[..., 0]
        likely = np.take_along_axis(logits, following[..., None], axis=-1)[..., 0] - total
        parts.append(np.where(following > UNKNOWN, likely, 0.0).sum(axis=1, dtype=np.float64))
    return np.concatenate(parts)


def _decoded(weights: Weights, ids: Places, seen: list[tuple[Floats, Floats]]) -> Floats:
    """Return the logits of the word after each. (c, n) → (c, n, words)."""
    n = ids.shape[1]
    later = np.triu(np.full((n, n), _NEVER, dtype=np.float32), 1)
    x = weights["embed.weight"][ids] + weights["place"][:n]
    for number, (keys, values) in enumerate(seen):
        block = f"blocks.{number}."
        normed = _norm(weights, f"{block}norm1", x)
        q, k, v = np.split(_linear(weights, f"{block}qkv", normed), 3, axis=2)
        attended = _attend(_by_head(q), _by_head(k), _by_head(v), later)
        x = x + _linear(weights, f"{block}proj", attended)
        q = _linear(weights, f"{block}query", _norm(weights, f"{block}norm2", x))
        x = x + _linear(weights, f"{block}look", _attend(_by_head(q), keys, values))
        inner = _gelu(_linear(weights, f"{block}fc1", _norm(weights, f"{block}norm3", x)))
        x = x + _linear(weights, f"{block}fc2", inner)
    table = {"words.weight": weights["embed.weight"], "words.bias": weights["bias"]}
    return _linear(table, "words", _norm(weights, "norm", x))


def _keys(weights: Weights, sights: Floats) -> list[tuple[Floats, Floats]]:
    """Return keys and values of photos in each block. (p, m, w) → (p, h, m, w/h) each."""
    blocks = sum(name.endswith(".key_value.weight") for name in weights)
    both = (_linear(weights, f"blocks.{n}.key_value", sights) for n in range(blocks))
    return [(_by_head(k), _by_head(v)) for k, v in (np.split(each, 2, axis=2) for each in both)]


def _sights(weights: Weights, tokens: Floats) -> Floats:
    """Prepare photos. (p, m, d) → (p, m, w)."""
    standard = (tokens - weights["mean"]) / weights["spread"]
    return _norm(weights, "seen", _linear(weights, "image", standard) + weights["patch"])


def _nothing(weights: Weights) -> Floats:
    """Return what a model sees where there is no photo. Shape (1, 1, w)."""
    return _norm(weights, "seen", weights["nothing"])


def _attend(q: Floats, k: Floats, v: Floats, later: Floats | None = None) -> Floats:
    """Attend: `softmax(QKᵀ/√(w/h)) V`. (c, h, n, w/h), (c, h, m, w/h) → (c, n, w)."""
    scores = q @ k.swapaxes(2, 3) * np.float32(q.shape[-1] ** -0.5)
    if later is not None:
        scores = scores + later
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    scores /= scores.sum(axis=-1, keepdims=True)
    c, h, n, d = q.shape
    attended: Floats = (scores @ v).swapaxes(1, 2).reshape(c, n, h * d)
    return attended


def _by_head(x: Floats) -> Floats:
    """Split each token's numbers among the heads. (b, n, w) → (b, h, n, w/h)."""
    b, n, w = x.shape
    return x.reshape(b, n, HEADS, w // HEADS).swapaxes(1, 2)


def _linear(weights: Weights, name: str, x: Floats) -> Floats:
    """Apply a linear layer. (…, in) → (…, out)."""
    weight = weights[f"{name}.weight"]
    flat = x.reshape(-1, x.shape[-1]) @ weight.T + weights[f"{name}.bias"]  # one large product
    return flat.reshape(*x.shape[:-1], len(weight))


def _norm(weights: Weights, name: str, x: Floats) -> Floats:
    """Apply a layer norm. (…, w) → (…, w)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(1e-5))
    normed: Floats = centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return normed


def _gelu(x: Floats) -> Floats:
    """Apply GELU, by its tanh."""
    cubed = x * x * x  # ten times as fast as a power
    inner = np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * cubed))
    bent: Floats = np.float32(0.5) * x * (1 + inner)
    return bent


def save_teller(teller: Teller, folder: Path) -> None:
    """Write `telling.safetensors`: weights as float16, words in its header."""
    arrays = {
        f"{number}.{name}": np.ascontiguousarray(weight, dtype=np.float16)
        for number, weights in enumerate(teller.models)
        for name, weight in weights.items()
    }
    with replacing(folder / TELLING) as part:
        part.write_bytes(save(arrays, metadata={"words": " ".join(teller.words)}))


def load_teller(folder: Path, models: int) -> Teller:
    """Read so many models that `save_teller` wrote.

    Raises:
        ModelUnavailable: the file is missing, damaged, or holds less.
    """
    if not models:
        return no_telling()
    path = folder / TELLING
    found: list[dict[str, Floats]] = [{} for _ in range(models)]
    try:
        with safe_open(path, framework="numpy") as opened:
            words = tuple(opened.metadata()["words"].split())
            for key in opened.keys():  # noqa: SIM118 - it is no dict
                number, _, name = key.partition(".")
                found[int(number)][name] = opened.get_tensor(key).astype(np.float32)
        if any(len(weights["bias"]) != len(words) + UNKNOWN + 1 for weights in found):
            raise ValueError("its words are not those of its weights")
    except FileNotFoundError as error:
        raise ModelUnavailable(f"reranker '{folder}' lacks {TELLING}") from error
    except (OSError, SafetensorError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelUnavailable(f"'{path}' is damaged or of another kind: {error}") from error
    return Teller(words=words, models=tuple(found))

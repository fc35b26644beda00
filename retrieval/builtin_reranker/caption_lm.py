"""Caption language models: how much more likely a caption is when the model sees the photo.

    score(text, photo) = 2 Σ (log p(word | other words, photo) - log p(word | other words))

The sum is over the known words of the text (pointwise mutual information), and the score is the
mean over the models. Every second model reads from the right, so the "other words" are those before
the word and those after it. The models are also trained without a photo, which gives the second
term. Texts of few words get no score, since captions do not begin with a bare name.

Word detectors (`retrieval.builtin_reranker.word_detectors`) read a text as a bag of words; these
models also know the order of words. Both scores are log-likelihoods and are added. These models are
more reliable, so they have a larger weight.

They run in numpy, one thread per model, so a search by words loads no torch.

Shapes: t texts, p photos, c pairs, n words of a text with its marks, m patch tokens, h heads.

Source: Church and Hanks 1990, for mutual information of words; Vaswani et al. 2017, Attention is
all you need (arXiv 1706.03762), for a decoder that attends to what it describes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from indexer.core.atomic_io import replacing
from retrieval.errors import ModelUnavailable

TELLING = "telling.safetensors"

PADDING, START, END, UNKNOWN = range(4)
"""What stands before the words in a vocabulary."""

HEADS = 4
LONGEST = 24  # words of a text that are read
SHORTEST = 4  # words below which a text is a name, not a caption

_SURER = 2.0  # chosen on the dev photos that choose the weights of the fusion
_COUPLES = 16  # told at once: what is computed of them stays in the cache
_STATES = 256  # for which the vocabulary is asked at once: 2.6 MB of logits
_NEVER = -1e9
_SCALE = ":scale"

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
class CaptionLM:
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

        def tell(number: int) -> NDArray[np.float64]:
            ids = [_marked(words[:: -1 if number % 2 else 1]) for words in read]
            return _pointwise_information(self.models[number], ids, tokens, asked)

        for each in _threads().map(tell, range(len(self.models))):
            told[wanted] += each[back.reshape(-1)]
        return _SURER * told / len(self.models)

    def read(self, text: str) -> list[int]:
        """Return the places of a text's words in the vocabulary."""
        return [self._places.get(word, UNKNOWN) for word in sentence(text)]

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each word stands."""
        return {word: place for place, word in enumerate(self.words, start=UNKNOWN + 1)}


@cache
def _threads() -> ThreadPoolExecutor:
    """Return the threads in which the models run. New ones would have to ask for memory anew."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="caption-lm")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)


def no_telling() -> CaptionLM:
    """Return a teller without a model."""
    return CaptionLM(words=(), models=())


def padded(rows: Sequence[Sequence[int]]) -> Places:
    """Make rows of one length. Shape (rows, n)."""
    ids = np.full((len(rows), max(map(len, rows))), PADDING, dtype=np.int64)
    for row, each in zip(ids, rows, strict=True):
        row[: len(each)] = each
    return ids


def _marked(words: Sequence[int]) -> list[int]:
    """Put the marks around a text."""
    return [START, *words, END]


def _pointwise_information(
    weights: Weights, ids: Sequence[list[int]], tokens: Floats, couples: Places
) -> NDArray[np.float64]:
    """Compare texts with and without their photos. Couples (c, 2) of places → (c,)."""
    texts, text = np.unique(couples[:, 0], return_inverse=True)
    photos, photo = np.unique(couples[:, 1], return_inverse=True)
    rows = [ids[place] for place in texts]
    nobody = np.stack([np.arange(len(rows)), np.zeros(len(rows), int)], axis=1)
    alone = _likely(weights, rows, _nothing(weights), nobody)
    parts = np.array_split(tokens[photos], -(-len(photos) // _COUPLES))
    seen = np.concatenate([_sights(weights, part) for part in parts])
    return _likely(weights, rows, seen, np.stack([text, photo], axis=1)) - alone[text]


def _likely(
    weights: Weights, rows: Sequence[list[int]], sights: Floats, couples: Places
) -> NDArray[np.float64]:
    """Sum log p of the known words of texts beside photos. Couples (c, 2) of places → (c,)."""
    likely = np.zeros(len(couples))
    length = np.array([len(row) for row in rows])[couples[:, 0]]
    order = np.lexsort((couples[:, 0], length))  # like lengths together, to fill up little
    for start in range(0, len(couples), _COUPLES):
        some = order[start : start + _COUPLES]
        text, photo = couples[some].T
        once, text = np.unique(text, return_inverse=True)
        ids = padded([rows[place] for place in once])
        states = _decoded(weights, ids[:, :-1], text, sights[photo])
        likely[some] = _said(weights, states, ids[text, 1:]).sum(axis=1, dtype=np.float64)
    return likely


def _said(weights: Weights, states: Floats, following: Places) -> Floats:
    """Return log p of each word that follows a state; 0 of those that are not known.

    States (c, n, w), words (c, n) → (c, n). The vocabulary is asked for some states at a time: its
    logits then stay in the cache.
    """
    logs = np.zeros(following.shape, dtype=np.float32)
    known = following > UNKNOWN
    asked, words = states[known], following[known]
    found = np.empty(len(words), dtype=np.float32)
    table = {"words.weight": weights["embed.weight"], "words.bias": weights["bias"]}
    for start in range(0, len(words), _STATES):
        some = slice(start, start + _STATES)
        logits = _linear(table, "words", asked[some])
        said = logits[np.arange(len(logits)), words[some]]
        found[some] = said - _log_total(logits)
    logs[known] = found
    return logs


def _decoded(weights: Weights, ids: Places, text: Places, sights: Floats) -> Floats:
    """Return the state from which the word after each is told, beside photos.

    Words (t, n), texts (c,), photos (c, m, w) → (c, n, w). Until they first look at a photo, the
    words of a text are the same beside each.
    """
    n = ids.shape[1]
    later = np.triu(np.full((n, n), _NEVER, dtype=np.float32), 1)
    x = weights["embed.weight"][ids] + weights["place"][:n]
    blocks = sum(name.endswith(".key_value.weight") for name in weights)
    for number in range(blocks):
        block = f"blocks.{number}."
        normed = _norm(weights, f"{block}norm1", x)
        q, k, v = np.split(_linear(weights, f"{block}qkv", normed), 3, axis=2)
        attended = _attend(_by_head(q), _by_head(k), _by_head(v), later)
        x = x + _linear(weights, f"{block}proj", attended)
        q = _linear(weights, f"{block}query", _norm(weights, f"{block}norm2", x))
        asked = _asked_of_photos(weights, block, q)
        if number == 0:
            x, asked = x[text], asked[text]
        x = x + _linear(weights, f"{block}look", _looked(weights, block, asked, sights))
        inner = _gelu(_linear(weights, f"{block}fc1", _norm(weights, f"{block}norm3", x)))
        x = x + _linear(weights, f"{block}fc2", inner)
    return _norm(weights, "norm", x)


def _asked_of_photos(weights: Weights, block: str, q: Floats) -> Floats:
    """Multiply queries by the weights of the keys: `q (S Wᵀ)ᵀ = (q W) Sᵀ`. (b, n, w) → (b, hn, w).

    A text has fewer words than a photo has tokens, so this costs less than the keys of all photos.
    The bias of the keys adds the same to each token, which softmax takes away again.
    """
    b, n, w = q.shape
    keys = weights[f"{block}key_value.weight"][:w].reshape(HEADS, w // HEADS, w)
    asked = q.reshape(b * n, HEADS, w // HEADS).swapaxes(0, 1) @ keys  # (h, bn, w)
    by_query: Floats = asked.reshape(HEADS, b, n, w).swapaxes(0, 1).reshape(b, HEADS * n, w)
    return by_query


def _looked(weights: Weights, block: str, asked: Floats, sights: Floats) -> Floats:
    """Attend to photos, and only then multiply by the weights of the values. → (c, n, w)."""
    c, rows, w = asked.shape
    n = rows // HEADS
    scores = asked @ sights.swapaxes(1, 2)  # (c, hn, m)
    scores *= np.float32((w // HEADS) ** -0.5)
    mixed = _softmax(scores) @ sights  # (c, hn, w)
    values = weights[f"{block}key_value.weight"][w:].reshape(HEADS, w // HEADS, w)
    by_head = mixed.reshape(c, HEADS, n, w).swapaxes(0, 1).reshape(HEADS, c * n, w)
    seen: NDArray[Any] = (by_head @ values.swapaxes(1, 2)).reshape(HEADS, c, n, w // HEADS)
    looked: Floats = seen.transpose(1, 2, 0, 3).reshape(c, n, w)
    looked += weights[f"{block}key_value.bias"][w:]
    return looked


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
    c, h, n, d = q.shape
    attended: Floats = (_softmax(scores) @ v).swapaxes(1, 2).reshape(c, n, h * d)
    return attended


def _softmax(scores: Floats) -> Floats:
    """Return shares by scores, and overwrite these. (…, m) → (…, m)."""
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def _by_head(x: Floats) -> Floats:
    """Split each token's numbers among the heads. (b, n, w) → (b, h, n, w/h)."""
    b, n, w = x.shape
    return x.reshape(b, n, HEADS, w // HEADS).swapaxes(1, 2)


def _linear(weights: Weights, name: str, x: Floats) -> Floats:
    """Apply a linear layer. (…, in) → (…, out)."""
    weight = weights[f"{name}.weight"]
    flat = x.reshape(-1, x.shape[-1]) @ weight.T  # one large product
    flat += weights[f"{name}.bias"]
    return flat.reshape(*x.shape[:-1], len(weight))


def _norm(weights: Weights, name: str, x: Floats) -> Floats:
    """Apply a layer norm. (…, w) → (…, w)."""
    normed: Floats = x - x.mean(axis=-1, keepdims=True)
    square = np.einsum("...i,...i->...", normed, normed)[..., None] / np.float32(x.shape[-1])
    normed /= np.sqrt(square + np.float32(1e-5))
    normed *= weights[f"{name}.weight"]
    normed += weights[f"{name}.bias"]
    return normed


def _gelu(x: Floats) -> Floats:
    """Apply GELU, by its tanh: `x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`."""
    bent: Floats = x * x
    bent *= np.float32(0.7978845608 * 0.044715)
    bent += np.float32(0.7978845608)
    bent *= x
    np.tanh(bent, out=bent)
    bent += np.float32(1)
    bent *= x
    bent *= np.float32(0.5)
    return bent


def _log_total(logits: Floats) -> Floats:
    """Return `log Σ exp(logits)`, and overwrite them. (…, words) → (…)."""
    top = logits.max(axis=-1, keepdims=True)
    logits -= top
    np.exp(logits, out=logits)
    total: Floats = np.log(logits.sum(axis=-1)) + top[..., 0]
    return total


def rounded(weights: Weights) -> Weights:
    """Return weights as they come back from disk."""
    return _unpacked(_packed(weights))


def save_teller(teller: CaptionLM, folder: Path, run: str = "") -> None:
    """Write `telling.safetensors`; its header holds words, and the mark of a run that goes on.

    Without a mark the same models are the same bytes: safetensors writes a header's entries in no
    order.
    """
    arrays = {
        f"{number}.{name}": array
        for number, weights in enumerate(teller.models)
        for name, array in _packed(weights).items()
    }
    header = {"words": " ".join(teller.words)} | ({"run": run} if run else {})
    with replacing(folder / TELLING) as part:
        part.write_bytes(save(arrays, metadata=header))


def load_teller(folder: Path, models: int) -> CaptionLM:
    """Read so many models that `save_teller` wrote.

    Raises:
        ModelUnavailable: the file is missing, damaged, or holds another number of them.
    """
    if not models:
        return no_telling()
    path = folder / TELLING
    try:
        teller, _ = _read(path)
        if len(teller.models) != models:
            raise ValueError(f"it holds {len(teller.models)} models, not {models}")
    except FileNotFoundError as error:
        raise ModelUnavailable(f"reranker '{folder}' lacks {TELLING}") from error
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(f"'{path}' is damaged or of another kind: {error}") from error
    return teller


def saved_teller(folder: Path, run: str) -> CaptionLM | None:
    """Return what a run has saved so far; None where it has saved nothing."""
    try:
        teller, mark = _read(folder / TELLING)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    return teller if mark == run else None


def _read(path: Path) -> tuple[CaptionLM, str]:
    """Read models, and the mark of the run that learned them."""
    found: dict[int, dict[str, NDArray[Any]]] = {}
    with safe_open(path, framework="numpy") as opened:
        header = opened.metadata()
        for key in opened.keys():  # noqa: SIM118 - it is no dict
            number, _, name = key.partition(".")
            found.setdefault(int(number), {})[name] = opened.get_tensor(key)
    words = tuple(header["words"].split())
    models = tuple(_unpacked(found[number]) for number in range(len(found)))
    if any(len(weights["bias"]) != len(words) + UNKNOWN + 1 for weights in models):
        raise ValueError("its words are not those of its weights")
    return CaptionLM(words=words, models=models), header.get("run", "")


def _packed(weights: Weights) -> dict[str, NDArray[Any]]:
    """Return matrices as int8 rows with a float16 scale each, the rest as float16."""
    packed: dict[str, NDArray[Any]] = {}
    for name, weight in weights.items():
        if weight.ndim != 2:
            packed[name] = np.ascontiguousarray(weight, dtype=np.float16)
            continue
        scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True) / 127, 1e-7)
        packed[name + _SCALE] = scale = scale.astype(np.float16)
        whole = np.rint(weight / scale.astype(np.float32))
        packed[name] = np.clip(whole, -127, 127).astype(np.int8)
    return packed


def _unpacked(packed: Mapping[str, NDArray[Any]]) -> Weights:
    """Return float32 weights; the inverse of `_packed`."""
    ones = np.ones(1, dtype=np.float32)
    return {
        name: array.astype(np.float32) * packed.get(name + _SCALE, ones).astype(np.float32)
        for name, array in packed.items()
        if not name.endswith(_SCALE)
    }

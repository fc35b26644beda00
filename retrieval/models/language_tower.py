"""Reads texts in ten languages beside English, into the joint space of the model beside it.

A model's folder may hold `languages.safetensors`. Its tower looks up the pieces of a text, mixes
each with its neighbours, and maps their gated mean and their maximum to where the English tower
puts a translation. So photos need no new vectors. All of it runs in numpy, in a millisecond.

```
languages.safetensors     metadata: format, fingerprint of the model, languages, context
  pieces, scores          pieces of words, one a line in UTF-8, and their likelihoods
  embed.weight …          the weights, packed as `retrieval.models.stored_weights` says
  router.*                see `retrieval.models.language_router`
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from indexer.core.encoder import Vectors
from retrieval.errors import ModelUnavailable
from retrieval.models.language_router import LanguageRouter
from retrieval.models.numpy_layers import Floats, gelu, linear, norm, sigmoid, unit
from retrieval.models.stored_weights import StoredWeights
from retrieval.models.tokenizer import Ids
from retrieval.models.unigram_tokenizer import UnigramTokenizer

LANGUAGES = "languages.safetensors"
FORMAT = 1
"""Raise it when the file or what it means changes."""

ROUTER = "router."
_BATCH = 256
_LEAST_SHARE = 1e-3  # of all tokens together, so that nothing is divided by zero
_NEVER = np.float32(-1e4)


class LanguageTower:
    """A text tower for other languages than English.

    Args:
        folder: of the model.
        fingerprint: of the model; that of the file must be the same.

    Raises:
        ModelUnavailable: the file is damaged, of a newer format, or belongs to another model.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._file = folder / LANGUAGES
        try:
            with safe_open(self._file, framework="numpy") as file:
                about = dict(file.metadata() or {})
                self._check(about, fingerprint)
                self.languages: tuple[str, ...] = tuple(about["languages"].split())
                self._context = int(about["context"])
                pieces = file.get_tensor("pieces").tobytes().decode("utf-8").split("\n")
                self._pieces, self._scores = pieces, file.get_tensor("scores").tolist()
                arrays = {key: file.get_tensor(ROUTER + key) for key in LanguageRouter.ARRAYS}
                self._router = LanguageRouter.of(arrays)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise ModelUnavailable(
                f"'{self._file}' is damaged or of another kind: {error}"
            ) from error

    def is_foreign(self, text: str) -> bool:
        """Return whether this tower reads a text, and not the English one."""
        return self._router.is_foreign(text)

    def ids(self, texts: Sequence[str]) -> Ids:
        """Return the ids of the pieces of texts, shape (texts, longest), padded with 0."""
        return self._tokenizer.ids(texts)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed texts. Shape (texts, dim), unit norm."""
        order = np.argsort([len(text) for text in texts], kind="stable")
        parts = [order[at : at + _BATCH] for at in range(0, len(order), _BATCH)]
        found = [self.embed(self.ids([texts[row] for row in rows])) for rows in parts]
        return np.concatenate(found)[np.argsort(order)]

    def embed(self, ids: Ids) -> Vectors:
        """Embed the pieces of texts. (b, n) → (b, dim), unit norm."""
        weights, seen = self._weights, (ids != 0)[:, :, None]
        x = norm(weights, "norm", self._stored.rows("embed.weight", ids)) * seen  # (b, n, w)
        x = x + weights["before"] * _shifted(x, 1) + weights["after"] * _shifted(x, -1)
        gate = sigmoid(linear(weights, "gate", x)) * seen  # (b, n, 1)
        mean = (x * gate).sum(axis=1) / np.maximum(gate.sum(axis=1), _LEAST_SHARE)
        both = np.concatenate([mean, np.where(seen, x, _NEVER).max(axis=1)], axis=1)  # (b, 2w)
        pooled = norm(weights, "pool", both)
        correction = linear(weights, "fc2", gelu(linear(weights, "fc1", pooled)))
        return unit(linear(weights, "linear", pooled) + correction)

    def _check(self, about: Mapping[str, str], fingerprint: str) -> None:
        """Refuse a file of a newer format, or of another model."""
        if int(about["format"]) > FORMAT:
            raise ModelUnavailable(
                f"'{self._file}' has format {about['format']}, this twinlens reads up to {FORMAT}: "
                "upgrade twinlens"
            )
        if about["fingerprint"] != fingerprint:
            raise ModelUnavailable(
                f"'{self._file}' was made for other weights ({about['fingerprint'][:12]}) than the "
                f"model beside it ({fingerprint[:12]}); make it anew with "
                "scripts/train_languages.py, or delete it"
            )

    @cached_property
    def _tokenizer(self) -> UnigramTokenizer:
        """What cuts texts into pieces."""
        return UnigramTokenizer(self._pieces, self._scores, self._context)

    @cached_property
    def _stored(self) -> StoredWeights:
        """The weights in the file."""
        return StoredWeights(self._file)

    @cached_property
    def _weights(self) -> Mapping[str, Floats]:
        """All weights but the vectors of the pieces."""
        apart = ("embed.", ROUTER, "pieces", "scores")
        return {name: self._stored[name] for name in self._stored if not name.startswith(apart)}


def language_tower(folder: Path | None, fingerprint: str) -> LanguageTower | None:
    """Return the language tower of a model's folder; None where there is none.

    Raises:
        ModelUnavailable: its file is damaged or belongs to another model.
    """
    if folder is None or not (folder / LANGUAGES).is_file():
        return None
    return LanguageTower(folder, fingerprint)


def encoded_by_language(
    tower: LanguageTower | None, texts: Sequence[str], english: Callable[[Sequence[str]], Vectors]
) -> Vectors:
    """Embed texts, each with the tower of its language. Shape (texts, dim).

    Args:
        tower: for other languages; None if there is none.
        texts: to be embedded.
        english: embeds all others.
    """
    foreign = [row for row, text in enumerate(texts) if tower and tower.is_foreign(text)]
    if tower is None or not foreign:
        return english(texts)
    others = sorted(set(range(len(texts))) - set(foreign))
    theirs = tower.encode([texts[row] for row in foreign])
    vectors = np.empty((len(texts), theirs.shape[1]), dtype=np.float32)
    vectors[foreign] = theirs
    if others:
        vectors[others] = english([texts[row] for row in others])
    return vectors


def _shifted(x: Floats, by: int) -> Floats:
    """Move tokens by one place, with zeros where there is none. (b, n, w) → (b, n, w)."""
    moved: NDArray[np.float32] = np.zeros_like(x)
    if by > 0:
        moved[:, by:] = x[:, :-by]
    else:
        moved[:, :by] = x[:, -by:]
    return moved

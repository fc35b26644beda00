"""Soft tokens: encode texts in which vectors replace words, with a frozen text tower.

A phrase mixes words and slots, `("a photo of", range(0, 2), "on a beach")`: the range names rows
of a table of vectors. Slots pass through the tower as negative token ids, which no tokenizer
produces, so padding, truncation and the end-of-text token work as for words.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from retrieval.errors import ModelUnavailable
from retrieval.models.loaded_model import Model
from retrieval.models.phrases import Phrase

Tokenize: TypeAlias = Callable[[Sequence[str]], Tensor]

MARKS = ("a", "the")
"""Words of one token each for every tokenizer: where the ids of both differ, there is a slot."""

_EMBEDDINGS = ("text.embed", "token_embedding", "text.token_embedding")
"""Where the built-in tower, open_clip's `CLIP` and its `CustomTextCLIP` keep their vectors."""

_filling = threading.Lock()


class PromptTower:
    """The text tower of a model, reading words and vectors alike. Its weights stay as they are.

    Raises:
        ModelUnavailable: the model's text tower or tokenizer cannot do it.
    """

    def __init__(self, model: Model, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._place = _place_of_embedding(model)

    @property
    def width(self) -> int:
        """Length of the vector of one token."""
        return self._plain.embedding_dim

    @property
    def temperature(self) -> float:
        """What the model's cosines are divided by before a softmax over them."""
        return float((-self._model.towers.logit_scale.detach()).exp())

    def word_vectors(self, words: str) -> Tensor:
        """Return the vectors of words, none if they are cut off. Shape (tokens, width)."""
        _, before = _marked(self._model.tokenize, [(range(1),)])
        ids, after = _marked(self._model.tokenize, [(words, range(1))])
        inside = slice(int(before[0].nonzero()), int(after[0].nonzero()) if after.any() else 0)
        vectors: Tensor = self._plain(ids[0, inside].to(self._device))
        return vectors.detach()

    def embed(self, phrases: Sequence[Phrase], table: Tensor) -> Tensor:
        """Embed phrases, differentiably in the table. Shape (phrases, d), not of unit length.

        Args:
            phrases: at least one.
            table: the vectors that the ranges name. Shape (rows, width).
        """
        ids = slot_ids(self._model.tokenize, phrases).to(self._device)
        with _filled(self._model.module, self._place, table.to(self._device)):
            return self._model.towers.encode_text(ids)

    @property
    def _plain(self) -> nn.Embedding:
        """The tower's own vectors."""
        return cast(nn.Embedding, self._model.module.get_submodule(self._place))


def slot_ids(tokenize: Tokenize, phrases: Sequence[Phrase]) -> Tensor:
    """Return token ids, with `-1 - row` for a slot. int64, shape (phrases, tokens).

    A phrase longer than the tower's context is cut at its end, slots included.
    """
    ids, marked = _marked(tokenize, phrases)
    for row, phrase in enumerate(phrases):
        rows = [slot for part in phrase if isinstance(part, range) for slot in part]
        places = marked[row].nonzero()[:, 0]
        ids[row, places] = -1 - torch.tensor(rows[: len(places)], dtype=ids.dtype)
    return ids


def _marked(tokenize: Tokenize, phrases: Sequence[Phrase]) -> tuple[Tensor, Tensor]:
    """Return token ids with a word in each slot, and where the slots are. Twice (b, tokens)."""
    one, other = (tokenize([_spelled(phrase, mark) for phrase in phrases]) for mark in MARKS)
    return one, one != other


def _spelled(phrase: Phrase, mark: str) -> str:
    """Write a phrase out, with a word in each of its slots."""
    parts = [part if isinstance(part, str) else " ".join([mark] * len(part)) for part in phrase]
    return " ".join(part for part in parts if part)


class _FilledEmbedding(nn.Module):
    """Vectors of tokens, and those of a table for negative ids."""

    def __init__(self, plain: nn.Module, table: Tensor) -> None:
        super().__init__()
        self._plain = plain
        self._table = table

    def forward(self, ids: Tensor) -> Tensor:
        """Look ids up. (b, n) → (b, n, w)."""
        words = self._plain(ids.clamp(min=0))
        slots = self._table[(-1 - ids).clamp(min=0)].to(words.dtype)
        return torch.where((ids < 0)[:, :, None], slots, words)


@contextmanager
def _filled(module: nn.Module, place: str, table: Tensor) -> Iterator[None]:
    """Read negative ids from a table meanwhile; a thread that encodes words sees no difference."""
    parent, _, name = place.rpartition(".")
    owner = module.get_submodule(parent)
    with _filling:
        plain = owner.get_submodule(name)
        setattr(owner, name, _FilledEmbedding(plain, table))
        try:
            yield
        finally:
            setattr(owner, name, plain)


def _place_of_embedding(model: Model) -> str:
    """Find the text tower's vectors of tokens by name, and try the tokenizer.

    Raises:
        ModelUnavailable: there are none, or the tokenizer splits or merges common words.
    """
    modules = dict(model.module.named_modules())
    place = next((name for name in _EMBEDDINGS if isinstance(modules.get(name), nn.Embedding)), "")
    probe: Phrase = ("a photo of", range(3))
    if not place or int(_marked(model.tokenize, [probe])[1].sum()) != 3:
        raise ModelUnavailable(
            f"the text tower of {model.name!r} takes no vectors in the place of words, so it "
            "cannot learn names; 'builtin' and open_clip's own text towers can"
        )
    return place

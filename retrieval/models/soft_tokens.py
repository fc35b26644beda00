"""Soft tokens: encode texts in which vectors replace words, with a frozen text tower.

A phrase mixes words and slots, `("a photo of", range(0, 2), "on a beach")`: the range names rows
of a table of vectors. Slots pass through the tower as negative token ids, which no tokenizer
produces, so padding, truncation and the end-of-text token work as for words.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from indexer.core.encoder import Vectors
from retrieval.errors import ModelUnavailable
from retrieval.models.loaded_model import Model
from retrieval.models.phrases import Phrase, Tokenize, marked_ids, slot_ids, words_between

_EMBEDDINGS = ("text.embed", "token_embedding", "text.token_embedding")
"""Where the built-in tower, open_clip's `CLIP` and its `CustomTextCLIP` keep their vectors."""

_filling = threading.Lock()


class TorchPrompts:
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

    def word_vectors(self, words: str) -> NDArray[np.float32]:
        """Return the vectors of words, none if they are cut off. Shape (tokens, width)."""
        ids = torch.from_numpy(words_between(_tokenize(self._model), words)).to(self._device)
        vectors: Tensor = self._plain(ids)
        return vectors.detach().float().cpu().numpy()

    def fit(
        self, phrases: Sequence[Phrase], table: NDArray[np.float32], targets: Vectors
    ) -> tuple[float, NDArray[np.float32]]:
        """Return `1 - cosine` of phrases and targets, averaged, and its gradient in the table.

        Shapes: table and gradient (rows, width), targets (phrases, d) of unit length.
        """
        rows = torch.from_numpy(table).to(self._device).requires_grad_()
        wanted = torch.from_numpy(targets).to(self._device)
        loss = 1.0 - F.cosine_similarity(self.embed(phrases, rows), wanted).mean()
        (gradient,) = torch.autograd.grad(loss, [rows])
        return float(loss.detach()), gradient.cpu().numpy()

    def embed(self, phrases: Sequence[Phrase], table: Tensor) -> Tensor:
        """Embed phrases, differentiably in the table. Shape (phrases, d), not of unit length.

        Args:
            phrases: at least one.
            table: the vectors that the ranges name. Shape (rows, width).
        """
        ids = torch.from_numpy(slot_ids(_tokenize(self._model), phrases)).to(self._device)
        with _filled(self._model.module, self._place, table.to(self._device)):
            return self._model.towers.encode_text(ids)

    @property
    def _plain(self) -> nn.Embedding:
        """The tower's own vectors."""
        return cast(nn.Embedding, self._model.module.get_submodule(self._place))


def _tokenize(model: Model) -> Tokenize:
    """Return what cuts texts into tokens, as numpy's."""
    return lambda texts: model.tokenize(texts).cpu().numpy()


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
    if not place or int(marked_ids(_tokenize(model), [probe])[1].sum()) != 3:
        raise ModelUnavailable(
            f"the text tower of {model.name!r} takes no vectors in the place of words, so it "
            "cannot learn names; 'builtin' and open_clip's own text towers can"
        )
    return place

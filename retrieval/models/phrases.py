"""Phrases: words, and slots for soft tokens that are in no vocabulary.

Slots travel through a text tower as negative token ids, which no tokenizer gives, so that padding,
cutting and the end-of-text token stay as they are for words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from indexer.core.encoder import Encoder, Vectors
from retrieval.models.tokenizer import Ids

Phrase: TypeAlias = tuple[str | range, ...]
"""Words, and ranges of rows of a table, in the order in which they are read."""

Tokenize: TypeAlias = Callable[[Sequence[str]], Ids]
"""Texts → token ids, shape (texts, longest)."""

MARKS = ("a", "the")
"""Words of one token each for every tokenizer: where the ids of both differ, there is a slot."""


@runtime_checkable
class PhraseEncoder(Encoder, Protocol):
    """An encoder that also reads phrases."""

    def encode_phrases(self, phrases: Sequence[Phrase], table: NDArray[np.float32]) -> Vectors:
        """Embed phrases with slots for rows of a table. Shape (phrases, dim), unit norm."""
        ...


class PromptTower(Protocol):
    """A text tower that says how vectors in the place of words should change."""

    def word_vectors(self, words: str) -> NDArray[np.float32]:
        """Return the vectors of words, none if they are cut off. Shape (tokens, width)."""
        ...

    def fit(
        self, phrases: Sequence[Phrase], table: NDArray[np.float32], targets: Vectors
    ) -> tuple[float, NDArray[np.float32]]:
        """Return `1 - cosine` of phrases and targets, averaged, and its gradient in the table.

        Args:
            phrases: at least one.
            table: the vectors that the ranges name. Shape (rows, width).
            targets: of unit length. Shape (phrases, dim).
        """
        ...


@runtime_checkable
class TeachableEncoder(PhraseEncoder, Protocol):
    """An encoder whose text tower can learn names."""

    def prompt_tower(self) -> PromptTower:
        """Return the text tower, reading vectors in the place of words.

        Raises:
            ModelUnavailable: this model's cannot.
            ExtraMissing: it takes torch, which is not installed.
        """
        ...


def slot_ids(tokenize: Tokenize, phrases: Sequence[Phrase]) -> Ids:
    """Return token ids, with `-1 - row` for a slot. int64, shape (phrases, tokens).

    A phrase longer than the tower's context is cut at its end, slots included.
    """
    ids, marked = marked_ids(tokenize, phrases)
    for row, phrase in enumerate(phrases):
        rows = [slot for part in phrase if isinstance(part, range) for slot in part]
        (places,) = marked[row].nonzero()
        ids[row, places] = -1 - np.array(rows[: len(places)], dtype=ids.dtype)
    return ids


def marked_ids(tokenize: Tokenize, phrases: Sequence[Phrase]) -> tuple[Ids, NDArray[np.bool_]]:
    """Return token ids with a word in each slot, and where the slots are. Twice (b, tokens)."""
    one, other = (tokenize([_spelled(phrase, mark) for phrase in phrases]) for mark in MARKS)
    return one, one != other


def words_between(tokenize: Tokenize, words: str) -> Ids:
    """Return the ids of words without a text's beginning and end; none if they are cut off."""
    _, before = marked_ids(tokenize, [(range(1),)])
    ids, after = marked_ids(tokenize, [(words, range(1))])
    end = int(after[0].argmax()) if after.any() else 0
    return ids[0, int(before[0].argmax()) : end]


def _spelled(phrase: Phrase, mark: str) -> str:
    """Write a phrase out, with a word in each of its slots."""
    parts = [part if isinstance(part, str) else " ".join([mark] * len(part)) for part in phrase]
    return " ".join(part for part in parts if part)

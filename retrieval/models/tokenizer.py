"""Words to token ids, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

PAD = 0
Ids: TypeAlias = NDArray[np.int64]


class TextReader(Protocol):
    """Turns texts into token ids."""

    def ids(self, texts: Sequence[str]) -> Ids:
        """Return ids, shape (texts, longest), padded with 0."""
        ...


class WordPieces:
    """The words of the built-in text tower: a `tokenizers` file, cut at `context` tokens."""

    def __init__(self, file: Path, context: int) -> None:
        self.file = file
        self._tokenizer = _cut(Tokenizer.from_file(str(file)), context)

    def ids(self, texts: Sequence[str]) -> Ids:
        """Return ids, shape (texts, longest). A closing full stop is dropped.

        Captions end in one and queries do not: it must not tell them apart.
        """
        return _encoded(self._tokenizer, [text.strip().rstrip(". ") for text in texts])


def _cut(tokenizer: Tokenizer, context: int) -> Tokenizer:
    """Cut at `context` tokens, and pad with 0."""
    tokenizer.enable_truncation(max_length=context)
    tokenizer.enable_padding(pad_id=PAD)
    return tokenizer


def _encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> Ids:
    """Return ids, shape (texts, longest)."""
    encoded = tokenizer.encode_batch(list(texts))
    return np.array([entry.ids for entry in encoded], dtype=np.int64).reshape(len(texts), -1)

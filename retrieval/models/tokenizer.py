"""Words to token ids for the built-in text tower."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

PAD = 0


class WordPieceTokenizer:
    """A Hugging Face `tokenizers` file, cut at `context` tokens and padded with 0."""

    def __init__(self, file: Path, context: int) -> None:
        self.file = file
        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.enable_truncation(max_length=context)
        self._tokenizer.enable_padding(pad_id=PAD)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Return ids, int64, shape (texts, longest). A closing full stop is dropped.

        Captions end in one and queries do not: it must not tell them apart.
        """
        cleaned = [text.strip().rstrip(". ") for text in texts]
        encoded = self._tokenizer.encode_batch(cleaned)
        return torch.tensor([entry.ids for entry in encoded], dtype=torch.int64)

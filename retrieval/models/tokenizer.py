"""Words to token ids, without torch."""

from __future__ import annotations

import gzip
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
)

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


class ClipWords:
    """The words of OpenAI's CLIP, which most models of open_clip read: a file of `clip_words`.

    Source: Radford et al. 2021; the cleaning is that of open_clip's `SimpleTokenizer`.
    """

    def __init__(self, file: Path, context: int) -> None:
        self._tokenizer = _cut(Tokenizer.from_file(str(file)), context)

    def ids(self, texts: Sequence[str]) -> Ids:
        """Return ids, shape (texts, longest), each with its start and its end."""
        return _encoded(self._tokenizer, [_cleaned(text) for text in texts])


def clip_words(merges: Path) -> Tokenizer:
    """Make the tokenizer of CLIP from its list of merges, a gzipped text."""
    lines = gzip.decompress(merges.read_bytes()).decode("utf-8").split("\n")
    pairs = [(left, right) for left, right in map(str.split, lines[1 : 49152 - 256 - 2 + 1])]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet(), key=_place_of_letter)
    words = [*letters, *(letter + "</w>" for letter in letters), *map("".join, pairs)]
    start, end = "<start_of_text>", "<end_of_text>"
    vocabulary = {word: number for number, word in enumerate([*words, start, end])}
    tokenizer = Tokenizer(models.BPE(vocabulary, pairs, end_of_word_suffix="</w>"))
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
    pieces = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pieces, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    ends = [(each, vocabulary[each]) for each in (start, end)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=ends
    )
    tokenizer.add_special_tokens([AddedToken(each, normalized=True) for each in (start, end)])
    return tokenizer


def _cut(tokenizer: Tokenizer, context: int) -> Tokenizer:
    """Cut at `context` tokens, and pad with 0."""
    tokenizer.enable_truncation(max_length=context)
    tokenizer.enable_padding(pad_id=PAD)
    return tokenizer


def _encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> Ids:
    """Return ids, shape (texts, longest)."""
    encoded = tokenizer.encode_batch(list(texts))
    return np.array([entry.ids for entry in encoded], dtype=np.int64).reshape(len(texts), -1)


def _cleaned(text: str) -> str:
    """Mend letters, resolve entities, put one space where there are many, and lower the case."""
    from ftfy import fix_text  # 40 ms, and open_clip's models alone need it

    return " ".join(html.unescape(html.unescape(fix_text(text))).split()).lower()


def _place_of_letter(letter: str) -> tuple[bool, int]:
    """Order the byte letters as CLIP does: those that print as they are, then the others."""
    return ord(letter) >= 256, ord(letter)

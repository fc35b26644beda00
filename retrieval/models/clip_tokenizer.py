"""The tokenizer of OpenAI's CLIP, which most open_clip models use.

A word begins as its bytes. The pair that was learned first is joined, until no learned pair is left
(byte pair encoding). The table of pairs stays on the disk, because a query needs few of them.

Source: Radford et al. 2021; `open_clip.tokenizer.SimpleTokenizer`, which gives the same ids.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.models.tokenizer import PAD, Ids, mended

_BYTES, _FIRST = 256, 512  # an id is a byte's, that of a word's last byte, or that of a pair
_PAIRS = 49152 - 256 - 2
_SPECIAL = {"<start_of_text>": _FIRST + _PAIRS, "<end_of_text>": _FIRST + _PAIRS + 1}
_START, _END = _SPECIAL.values()

_CUT = "|".join(_SPECIAL) + r"|'s|'t|'re|'ve|'m|'ll|'d|{letter}+|{digit}|[^\s{letters}{digits}]+"
_PLAIN = re.compile(_CUT.format(letter="[a-z]", digit="[0-9]", letters="a-z", digits="0-9"))
"""How text of ASCII alone is cut into words."""


class ClipTokenizer:
    """Turns texts into the ids of CLIP.

    Args:
        file: that `write_clip_words` wrote.
        context: ids of a text at most.
    """

    def __init__(self, file: Path, context: int) -> None:
        self._pairs, self._joined = np.load(file, mmap_mode="r")
        self._context = context
        self._known: dict[str, list[int]] = {}

    def ids(self, texts: Sequence[str]) -> Ids:
        """Return ids, shape (texts, longest), each with its start and its end."""
        rows = [self._text(mended(text).lower()) for text in texts]
        ids = np.full((len(rows), max(map(len, rows), default=0)), PAD, dtype=np.int64)
        for row, found in zip(ids, rows, strict=True):
            row[: len(found)] = found
        return ids

    def _text(self, text: str) -> list[int]:
        """Return the ids of a cleaned text."""
        cut = _PLAIN if text.isascii() else _any_letters()
        found = [id_ for word in cut.findall(text) for id_ in self._word(word)]
        return [_START, *found[: self._context - 2], _END]

    def _word(self, word: str) -> list[int]:
        """Return the ids of a word."""
        if word not in self._known:
            self._known[word] = [_SPECIAL[word]] if word in _SPECIAL else self._spelt(word)
        return self._known[word]

    def _spelt(self, word: str) -> list[int]:
        """Join the bytes of a word."""
        ids = [_places()[byte] for byte in word.encode()]
        ids[-1] += _BYTES
        while len(ids) > 1:
            pairs = np.array([_key(*pair) for pair in pairwise(ids)])
            at = np.minimum(np.searchsorted(self._pairs, pairs), len(self._pairs) - 1)
            joined = np.where(self._pairs[at] == pairs, self._joined[at], _START)
            first = int(joined.argmin())
            if joined[first] == _START:
                break
            ids[first : first + 2] = [int(joined[first])]
        return ids


def write_clip_words(merges: Path, file: Path) -> None:
    """Write the table of pairs, sorted, from CLIP's own list of merges, a gzipped text."""
    lines = gzip.decompress(merges.read_bytes()).decode("utf-8").split("\n")[1 : _PAIRS + 1]
    letters = list(map(chr, _letters()))
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    ids = {word: number for number, word in enumerate(words)}
    keys = []
    for line in lines:
        left, right = line.split()
        keys.append(_key(ids[left], ids[right]))
        ids[left + right] = len(ids)
    order = np.argsort(keys)
    with file.open("wb") as target:  # by its path, numpy would choose another name for it
        np.save(target, np.stack([np.array(keys, dtype=np.int64)[order], _FIRST + order]))


def _key(left: int, right: int) -> int:
    """Return one number for a pair of ids."""
    return left << 16 | right


@cache
def _letters() -> dict[int, int]:
    """Return the bytes by the code points that stand for them in CLIP's list."""
    printed = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(_BYTES) if byte not in printed]
    return {byte: byte for byte in printed} | {
        _BYTES + number: byte for number, byte in enumerate(others)
    }


@cache
def _places() -> dict[int, int]:
    """Return the id of each byte: those that print as they are come first."""
    return {byte: place for place, byte in enumerate(_letters().values())}


@cache
def _any_letters() -> Any:
    """Return how text of any letters is cut into words."""
    import regex

    return regex.compile(
        _CUT.format(letter=r"\p{L}", digit=r"\p{N}", letters=r"\p{L}", digits=r"\p{N}")
    )

"""Cut words of many languages into pieces, by the likelihood of the pieces (a unigram model).

Source: Kudo 2018, Subword regularization (arXiv 1804.10959). Of all ways to cut a word the one
whose pieces are likeliest together is taken; a dynamic programme finds it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from retrieval.models.tokenizer import PAD, Ids

SPACE = "\u2581"
"""Stands for the space before a word, as in SentencePiece."""

UNKNOWN = 1
FIRST = 2
"""The first id of a piece, behind padding and what is unknown."""

_NOTHING = re.compile("[\u0640\u064b-\u0652\u200b-\u200f\ufe0f]")
"""Marks that carry no meaning of their own: vowels over Arabic letters, joiners."""

_END = re.compile(r"[\s.。।!！]+$")


class UnigramTokenizer:
    """Cuts texts into pieces. Case does not matter, and a closing full stop is dropped.

    Args:
        pieces: in the order of their ids, the first of which is `FIRST`.
        scores: logarithms of their likelihoods.
        context: pieces of a text at most.
    """

    def __init__(self, pieces: Sequence[str], scores: Sequence[float], context: int) -> None:
        self._ids = {piece: id_ for id_, piece in enumerate(pieces, start=FIRST)}
        self._scores = (0.0, 0.0, *scores)
        self._longest = max(map(len, pieces))
        self._strange = min(scores) - 10.0
        self._context = context
        self._word = lru_cache(maxsize=50_000)(self._cut)

    def ids(self, texts: Sequence[str]) -> Ids:
        """Return ids, shape (texts, longest), padded with 0. What is unknown is left out."""
        rows = [self._row(text) for text in texts]
        found = np.full((len(rows), max(map(len, rows), default=0)), PAD, dtype=np.int64)
        for number, row in enumerate(rows):
            found[number, : len(row)] = row
        return found

    def _row(self, text: str) -> list[int]:
        """Return the ids of a text; of one that says nothing, the one id of what is unknown."""
        row = [id_ for word in normalized(text).split() for id_ in self._word(SPACE + word)]
        return row[: self._context] or [UNKNOWN]

    def _cut(self, word: str) -> tuple[int, ...]:
        """Return the ids of a word's likeliest pieces."""
        ends = [0.0] + [-1e30] * len(word)  # the best score of what ends here
        pieces = [(0, 0)] * (len(word) + 1)  # its last piece: where it begins, its id
        for begin in range(len(word)):
            for end in range(begin + 1, min(len(word), begin + self._longest) + 1):
                id_ = self._ids.get(word[begin:end], UNKNOWN)
                if id_ == UNKNOWN and end > begin + 1:
                    continue
                score = ends[begin] + (self._strange if id_ == UNKNOWN else self._scores[id_])
                if score > ends[end]:
                    ends[end], pieces[end] = score, (begin, id_)
        found, end = [], len(word)
        while end:
            end, id_ = pieces[end]
            found.append(id_)
        known = tuple(id_ for id_ in reversed(found) if id_ != UNKNOWN)
        return () if known == (self._ids.get(SPACE),) else known


def normalized(text: str) -> str:
    """Return a text as its words are looked up: composed letters, small, one space between."""
    small = unicodedata.normalize("NFKC", text).lower()
    return _END.sub("", " ".join(_NOTHING.sub("", small).split()))

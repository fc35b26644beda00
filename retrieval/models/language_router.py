"""Tell by the words of a text whether the language tower reads it, or the English one."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SCRIPTS = frozenset({"CJK", "ARABIC", "DEVANAGARI", "CYRILLIC"})
"""First words of the names of letters that the tower reads beside Latin ones."""

_LATIN = frozenset({"LATIN", "FEMININE", "MASCULINE", "MICRO", "MODIFIER", "COMBINING"})

FOREIGN = 2.0
"""Log-odds, summed over the words of a text, from which on it is not English."""

CERTAIN = 8.5
"""Log-odds of a word that is not English, whatever stands beside it."""

GUESSED = 3.0
"""Log-odds by its letters from which on a lone word that is in no list is a foreign one."""

_SHORTEST = 4
"""Letters of a word that may be told by its letters alone, or tell of a whole text."""

_GRAMS = (2, 3, 4)

_LONGEST_EMPTY = 3  # letters of words such as "ein", "une", "las"


@dataclass(frozen=True, kw_only=True, eq=False)
class LanguageRouter:
    """Log-odds that a word is of another language than English.

    Attributes:
        hashes: of the words that are known, in ascending order. Shape (words,).
        odds: of each of them, in tenths. Shape (words,).
        letters: of groups of letters, for all other words. Shape (groups,).
        scale: what one of `letters` counts.
        bias: log-odds of a word without letters.
    """

    ARRAYS = ("hashes", "odds", "letters", "scale")

    hashes: NDArray[np.uint32]
    odds: NDArray[np.int8]
    letters: NDArray[np.int8]
    scale: float
    bias: float

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.generic]]) -> LanguageRouter:
        """Make it of the arrays of a file, by their names."""
        scale, bias = arrays["scale"].astype(np.float32).tolist()
        return cls(
            hashes=arrays["hashes"].astype(np.uint32),
            odds=arrays["odds"].astype(np.int8),
            letters=arrays["letters"].astype(np.int8),
            scale=scale,
            bias=bias,
        )

    def is_foreign(self, text: str) -> bool:
        """Return whether a text has words that the language tower should read."""
        if other_scripts(text) & SCRIPTS:
            return True
        words = [word for word in latin_words(text) if len(word) > 1]
        listed = [self.listed(word) for word in words]
        if any(
            odds is not None and odds >= CERTAIN and len(word) >= _SHORTEST
            for word, odds in zip(words, listed, strict=True)
        ):
            return True
        if len(words) == 1 and listed[0] is None:
            return self.guessed(words[0]) >= GUESSED
        return sum(odds or 0.0 for odds in listed) > FOREIGN

    def listed(self, word: str) -> float | None:
        """Return the log-odds that a word in small letters is not English; None for no idea."""
        sought = np.uint32(word_hash(word))
        place = int(np.searchsorted(self.hashes, sought))
        if place == len(self.hashes) or self.hashes[place] != sought:
            return None
        return float(self.odds[place]) / 10

    def guessed(self, word: str) -> float:
        """Return the log-odds by the letters of a word alone; 0 for one that is too short."""
        if len(word) < _SHORTEST:
            return 0.0
        groups = sorted(letter_groups(word, len(self.letters)))
        return float(self.letters[groups].astype(np.int32).sum()) * self.scale + self.bias


def latin_words(text: str) -> list[str]:
    """Return the words of a text in Latin letters, small and composed, without figures."""
    composed = unicodedata.normalize("NFC", text).lower()
    parts = "".join(char if char.isalpha() else " " for char in composed).split()
    return [word for word in parts if not other_scripts(word)]


def telling_words(text: str) -> int:
    """Estimate how many words of a text in any language say something; one at least.

    Short words mostly do not. Chinese puts no space between words: two signs are one.
    """
    counts = (-(-len(word) // 2) if "CJK" in other_scripts(word) else len(word) > _LONGEST_EMPTY
              for word in text.split())  # fmt: skip
    return max(1, sum(counts))


@lru_cache(maxsize=4096)
def other_scripts(text: str) -> frozenset[str]:
    """Return the scripts of a text but for the Latin one, as the names of its letters begin."""
    names = (unicodedata.name(char, "LATIN").split()[0] for char in text if char.isalpha())
    return frozenset(names) - _LATIN


def word_hash(word: str) -> int:
    """Return the number that stands for a word in a router's file."""
    return zlib.crc32(word.encode())


def letter_groups(word: str, groups: int) -> set[int]:
    """Return the numbers of a word's groups of two to four letters, its ends included."""
    marked = f"<{word}>"
    spans = (marked[at : at + n] for n in _GRAMS for at in range(len(marked) - n + 1))
    return {zlib.crc32(span.encode()) % groups for span in spans}


def packed_router(
    log_odds: Mapping[str, float], letters: Sequence[float], bias: float
) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a router's file; see the attributes of `LanguageRouter`."""
    by_hash = {word_hash(word): odds for word, odds in log_odds.items()}
    hashes = np.array(sorted(by_hash), dtype=np.uint32)
    odds = np.array([by_hash[int(each)] for each in hashes]) * 10
    scale = max(map(abs, letters)) / 127
    return {
        "hashes": hashes,
        "odds": np.rint(odds).clip(-127, 127).astype(np.int8),
        "letters": np.rint(np.array(letters) / scale).astype(np.int8),
        "scale": np.array([scale, bias], dtype=np.float32),
    }

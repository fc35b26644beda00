"""Words of a query that its model does not know: misspelt ones, and those of another language.

A model cuts a word that it does not know into pieces, and answers for the pieces, with nothing to
show for it. Rare words are cut, too, and may be understood all the same: so this is a hint for the
person who asks, and changes no answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from indexer.encoder import Encoder, WordEncoder

if TYPE_CHECKING:
    from spellchecker import SpellChecker

SHORTEST = 4
"""Letters; shorter words are too near to each other to tell which was meant."""

LANGUAGES = {
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "de": "German",
    "pt": "Portuguese",
    "nl": "Dutch",
}
"""Those that are recognised, the smallest dictionaries of `spellchecker` first."""

_WORD = re.compile(r"[^\W\d_]+")


def unknown_words(encoder: Encoder, text: str) -> list[str]:
    """Return the words of a text, in small letters, that a model has to cut into pieces.

    Of a model that cannot tell, all words are known.
    """
    if not isinstance(encoder, WordEncoder):
        return []
    words = dict.fromkeys(word for word in words_of(text) if len(word) >= SHORTEST)
    return [word for word in words if not encoder.knows(word)]


def spelling(unknown: Sequence[str], text: str) -> str:
    """Say what may be meant by the unknown words of a text; empty where nothing comes near.

    A text is in another language if that has all its words, and English lacks one that is unknown.
    """
    strange = [word for word in unknown if not _dictionary("en").known([word])]
    if not strange:
        return ""
    words = words_of(text)
    for code, language in LANGUAGES.items():
        if len(_dictionary(code).known(words)) == len(set(words)):
            return f"that looks {language}; the model reads English"
    meant = {word: _dictionary("en").correction(word) for word in strange}
    hints = (f"did you mean '{other}' by '{word}'?" for word, other in meant.items() if other)
    return " ".join(hints)


def words_of(text: str) -> list[str]:
    """Return the words of a text in small letters, without figures and signs."""
    return _WORD.findall(text.lower())


@cache
def _dictionary(language: str) -> SpellChecker:
    """Return the words of a language; two that differ in one letter are alike."""
    from spellchecker import SpellChecker

    return SpellChecker(language=language, distance=1)

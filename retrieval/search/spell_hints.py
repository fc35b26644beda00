"""Hints about words of a query that the model does not know: misspelt, foreign, or too many.

A model cuts an unknown word into pieces and searches for the pieces, without saying so. It also
cuts rare words that it understands. So this is only a hint for the person, and changes no result.
"""

from __future__ import annotations

import gzip
import json
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from indexer.core.encoder import (
    Encoder,
    MultilingualEncoder,
    TruncatingEncoder,
    VocabularyEncoder,
)
from indexer.core.text_normalization import STOP_WORDS
from retrieval.models.language_router import SCRIPTS, other_scripts
from retrieval.models.model_catalog import reads_english_alone
from retrieval.models.reference_vectors import generic_captions

SHORTEST = 3
"""Letters; shorter words are too near to each other to tell which was meant."""

LONGEST_CODE = 4
"""Letters of what may be an abbreviation if it is in capitals: "NASA" is not misspelt."""

FOREIGN = 20.0
"""So many times as common must a word be in another language that English has, too: "playa"."""

SHORT, USUAL = 3, 1e-6
"""A lone word of so few letters is foreign if it is one in a million there: not "sno"."""

LANGUAGES = {
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "de": "German",
    "pt": "Portuguese",
    "nl": "Dutch",
}
"""Those that are recognised, the smallest dictionaries of `spellchecker` first."""

_SCRIPTS = {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}
_LATIN = ("LATIN", "FEMININE", "MASCULINE", "MICRO", "MODIFIER")
_OTHER = "for other languages, run: twinlens models fetch multilingual"
_NO_WORD = "qzxjvkwq"  # of a model that knows it, all words are known
_PORTION = 10_000  # words
_SHOWN = 60  # characters of what is not read


def unknown_words(encoder: Encoder, text: str) -> list[str]:
    """Return the words of a text, in lower case, that are not in a model's vocabulary.

    Of a model that cannot tell, all words are known. Of a text in another language that the model
    reads, only words in a script that it does not read are unknown.
    """
    if is_foreign(encoder, text):
        return [word for word in dict.fromkeys(words_of(text)) if other_scripts(word) - SCRIPTS]
    if not isinstance(encoder, VocabularyEncoder):
        return []
    codes = {word.lower() for word in _words(text) if word.isupper() and len(word) <= LONGEST_CODE}
    english = not encoder.knows(_NO_WORD)
    return [
        word
        for word in dict.fromkeys(words_of(text))
        if (script_of(word) and (english or reads_english_alone(encoder.name)))
        or (len(word) >= SHORTEST and word not in codes and not encoder.knows(word))
    ]


def is_foreign(encoder: Encoder, text: str) -> bool:
    """Return whether a model reads a text as one in another language than English."""
    return isinstance(encoder, MultilingualEncoder) and encoder.is_foreign(text)


def languages_of(encoder: Encoder) -> str:
    """Name what a model reads, in a few words."""
    others = encoder.other_languages if isinstance(encoder, MultilingualEncoder) else ()
    return f"English and {len(others)} other languages" if others else "English"


def spelling(unknown: Sequence[str], text: str, reads: str = "English") -> str:
    """Say what may be meant by the unknown words of a text; empty where nothing comes near.

    A text is in another language if that has all its words, and English lacks one that is unknown,
    or has it far more seldom.

    Args:
        unknown: words of the text.
        text: the whole of it.
        reads: what the model reads, see `languages_of`.
    """
    for word in unknown:
        if script := script_of(word):
            return (
                f"the model reads {reads}; '{shortened(word)}' ({script}) is searched for only in "
                f"captions, keywords and names; {_OTHER}"
            )
    if not unknown:
        return ""
    strange = [word for word in unknown if not _dictionary("en").known([word])]
    language = _language(words_of(text), unknown, strange)
    if language:
        return f"that looks {LANGUAGES[language]}; the model reads {reads}; {_OTHER}"
    meant = {word: _meant(word) for word in strange}
    hints = (f"did you mean '{other}' for '{word}'?" for word, other in meant.items() if other)
    return " ".join(hints)


def language_of_words(words: Sequence[str]) -> str:
    """Return the language of words in Latin letters as a key of `LANGUAGES`; "" for English."""
    return _language(words, words, [each for each in words if not _dictionary("en").known([each])])


def _language(words: Sequence[str], unknown: Sequence[str], strange: Sequence[str]) -> str:
    """Return the language of some words, of which English lacks those that are strange, or "".

    Where English lacks none, a lone word may still be far more usual in another language.
    """
    if not strange and len(words) > 1:
        return ""
    for code in LANGUAGES:
        there = _dictionary(code)
        if len(there.known(words)) < len(set(words)):
            continue
        short = len(words) == 1 and len(words[0]) <= SHORT
        if short and there.frequency(words[0]) < USUAL:
            continue
        if strange or any(_is_rather(word, there) for word in unknown):
            return code
    return ""


def truncation_hint(encoder: TruncatingEncoder, texts: Sequence[str]) -> str:
    """Say which words of some texts a model does not read; empty if it reads all."""
    for text in texts:
        end = encoder.unread(text)
        if end:
            read = len(text.split()) - len(end.split())
            return (
                f"the query is too long: the model reads its first {read} words; left out: "
                f"'{shortened(end)}'"
            )
    return ""


def shortened(text: str) -> str:
    """Return a text, or its beginning and its end."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]} … {text[-_SHOWN // 2 :]}"


def script_of(word: str) -> str:
    """Name the script of a word that is not in Latin letters; empty for one that is."""
    names = (unicodedata.name(char, "LATIN").split()[0] for char in word if char.isalpha())
    others = [name for name in names if name not in _LATIN]
    kana = [name for name in others if _SCRIPTS.get(name) == "Japanese"]
    return next((_SCRIPTS.get(name, name.title()) for name in (*kana, *others)), "")


def words_of(text: str) -> list[str]:
    """Return the words of a text in small letters, without figures and signs."""
    return _words(text.lower())


def _words(text: str) -> list[str]:
    """Cut a text at all that is no letter or mark upon one."""
    return "".join(char if _is_letter(char) else " " for char in text).split()


def _is_letter(char: str) -> bool:
    """Tell a letter, or a mark upon one."""
    return unicodedata.category(char)[0] in "LM"


def _is_rather(word: str, there: Dictionary) -> bool:
    """Return whether a word is far more usual in another language than in English."""
    here: float = _dictionary("en").frequency(word)
    return bool(there.frequency(word) > FOREIGN * here)


def _meant(word: str) -> str:
    """Return the word that may be meant by a misspelt one; empty where none comes near.

    The one that captions use most, and rather one with a letter more than one with a letter less.
    """
    english, told = _dictionary("en"), _caption_words()
    near = [each for each in english.near(word) if each not in STOP_WORDS]
    ranked = sorted(
        near,
        key=lambda each: (len(each) < len(word), -told[each], -english.frequency(each)),
    )
    return ranked[0] if ranked and ranked[0] != word else ""


@cache
def _caption_words() -> Counter[str]:
    """Count the words of generic captions."""
    return Counter(word for caption in generic_captions() for word in words_of(caption))


class Dictionary:
    """The words of a language and how usual they are, in little memory: a server keeps seven.

    Args:
        counts: how often each word is said, in some portions.
    """

    def __init__(self, counts: Iterable[Mapping[str, int]]) -> None:
        letters: set[str] = set()
        hashes, said, self._longest = [], [], 0
        for portion in counts:
            hashes.append(_hashes(portion))
            said.append(np.fromiter(portion.values(), dtype=np.int64, count=len(portion)))
            letters.update(*portion)
            self._longest = max(self._longest, *map(len, portion))
        every, usual = np.concatenate(hashes), np.concatenate(said)
        order = np.argsort(every)
        self._hashes = every[order]
        self._usual = (usual[order] / usual.sum()).astype(np.float32)
        self._letters = sorted(letters)

    def known(self, words: Iterable[str]) -> set[str]:
        """Return those of some words that the language has."""
        asked = list(dict.fromkeys(words))
        return {asked[row] for row in np.flatnonzero(self._places(asked) >= 0)}

    def frequency(self, word: str) -> float:
        """Return the share of a word in all that is said; 0 for one that the language lacks."""
        (place,) = self._places([word])
        return float(self._usual[place]) if place >= 0 else 0.0

    def near(self, word: str) -> set[str]:
        """Return the words that differ from another in one letter, or in the order of two."""
        if len(word) > self._longest + 1:
            return set()
        parts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
        changed = [first + rest[1:] for first, rest in parts if rest]
        changed += [a + b[1] + b[0] + b[2:] for a, b in parts if len(b) > 1]
        changed += [a + letter + b[1:] for a, b in parts if b for letter in self._letters]
        changed += [a + letter + b for a, b in parts for letter in self._letters]
        return self.known(changed)

    def _places(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Return where words stand; -1 for those that are not there. Shape (words,)."""
        asked = _hashes(words)
        found = np.minimum(np.searchsorted(self._hashes, asked), len(self._hashes) - 1)
        places: NDArray[np.int64] = np.where(self._hashes[found] == asked, found, -1)
        return places


def _hashes(words: Collection[str]) -> NDArray[np.int64]:
    """Return 64 bits of each word; that two words have the same is as good as impossible."""
    return np.fromiter(map(hash, words), dtype=np.int64, count=len(words))


@cache
def _dictionary(language: str) -> Dictionary:
    """Return the words of a language."""
    return Dictionary(_portions(language))


def _portions(language: str) -> Iterator[dict[str, int]]:
    """Yield how often each word of a language is said, some thousand words at a time.

    A word stands on a line of its own. A whole dictionary would take ten times the memory of what
    is kept of it, and leave holes in it.
    """
    file = files("spellchecker").joinpath("resources", f"{language}.json.gz")
    with file.open("rb") as packed, gzip.open(packed) as unpacked:
        while lines := b"".join(islice(unpacked, _PORTION)).strip():
            told = lines.removeprefix(b"{").removesuffix(b"}").strip().removesuffix(b",")
            if told:
                yield json.loads(b"{%b}" % told)

"""Text normalisation: letters that people take as equal become equal, and texts become words.

One letter can be one code point or several ("é" is U+00E9, or "e" and U+0301), can be wide or
narrow, and can have case or accents. All text that is compared or looked up is normalised here.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

STOP_WORDS = frozenset(
    {"a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "he", "her", "his", "in", "is"}
    | {"it", "its", "my", "of", "on", "or", "our", "she", "that", "the", "their", "they", "this"}
    | {"to", "was", "we", "were", "who", "with", "you", "your"}
    | {"image", "images", "photo", "photos", "picture", "pictures"}
)
"""English words that most captions have, or that are true of every hit: they select nothing."""

_ACCENTED = ("LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW", "SYRIAC")
"""Scripts in which a mark upon a letter may be left out."""

_SPACELESS = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff"  # Korean, whose particles cling to words
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c"  # signs of Chinese
    "\u3040-\u30fa\u30fc-\u318f\u31a0-\u31bf\u31f0-\u31ff"  # kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Chinese
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"  # rare letters of both
    "]"
)
"""Letters of scripts that put no space between words."""

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_ASCII_NAME = re.compile(r"[a-z0-9]+(?:_+[a-z0-9]+)*")

_HAN = r"[\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\u30a1-\u30fc]"
_BETWEEN = re.compile(rf"(?<={_HAN})[のはがをにでとへもや的](?={_HAN})")
"""A particle between two words of Japanese or Chinese: 京都の桜 asks for 京都 and 桜."""

_HANGUL_PARTICLE = re.compile(
    r"^([\uac00-\ud7a3]{2,})(?:에서|에게|한테|까지|부터|으로|처럼|에|의|을|를|이|가|은|는|와|과|로|도|만)$"
)
"""A Korean word and the particle at its end."""


def same(text: str) -> str:
    """Return what is equal for two writings of one text: case, width and composition aside."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def plain(text: str) -> str:
    """Return `same` without accents, in the scripts where those may be left out."""
    told = same(text)
    if told.isascii():
        return told
    letters: list[str] = []
    bare = False  # whether the letter before may lose its marks
    for char in unicodedata.normalize("NFKD", told):
        if not unicodedata.combining(char):
            bare = unicodedata.name(char, "").startswith(_ACCENTED)
        elif bare:
            continue
        letters.append(char)
    return unicodedata.normalize("NFC", "".join(letters))


def writings(text: str) -> tuple[str, ...]:
    """Return a text as it is written, composed and decomposed, each once."""
    forms = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    return tuple(dict.fromkeys([text, *forms]))


def tokens(text: str) -> list[str]:
    """Cut a text into words without case and accents; each letter of a spaceless script is one.

    So a part of a run of such letters is found as a phrase of them.
    """
    told = plain(text)
    if told.isascii():
        return _ASCII_WORD.findall(told)
    return [token for word in _words(told) for token in _cut(word)]


def sought(text: str) -> list[tuple[str, ...]]:
    """Return the words of a query, each as phrases of which one is enough.

    A phrase is tokens with a space between them: "IMG_0017" is one, of two tokens. Particles of
    Japanese, Chinese and Korean part words from each other, or may be absent from what is found.
    """
    told = plain(text)
    if told.isascii():
        return [(" ".join(word.replace("_", " ").split()),) for word in _ASCII_NAME.findall(told)]
    return [
        _phrases(part)
        for word in _words(told)
        for run in _runs(word)
        for part in _BETWEEN.sub(" ", run).split()
    ]


def is_spaceless(char: str) -> bool:
    """Tell a letter of a script that puts no space between words."""
    return _SPACELESS.match(char) is not None


def _phrases(run: str) -> tuple[str, ...]:
    """Return a run as a phrase; a Korean word also without its particle."""
    korean = _HANGUL_PARTICLE.match(run)
    return tuple(" ".join(_cut(each)) for each in ((run, korean[1]) if korean else (run,)))


def _words(text: str) -> list[str]:
    """Cut a text at all that is no letter, digit or mark upon one."""
    return "".join(char if _is_part(char) else " " for char in text).split()


def _is_part(char: str) -> bool:
    """Return whether a character belongs to a word."""
    return char.isalnum() or unicodedata.category(char) in ("Mn", "Mc", "Me", "Co")


def _runs(word: str) -> list[str]:
    """Part the letters of spaceless scripts from others; a mark stays with its letter."""
    clusters = _clusters(word)
    grouped = groupby(clusters, key=lambda cluster: is_spaceless(cluster[0]))
    return ["".join(run) for _, run in grouped]


def _cut(word: str) -> list[str]:
    """Cut a word into tokens."""
    return [
        token
        for run in _runs(word)
        for token in (_clusters(run) if is_spaceless(run[0]) else [run])
    ]


def _clusters(word: str) -> list[str]:
    """Cut a word into letters, each with its marks."""
    found: list[str] = []
    for char in word:
        if found and unicodedata.category(char)[0] == "M":
            found[-1] += char
        else:
            found.append(char)
    return found

"""Learn which words are English and which are not, for `retrieval.models.language_router`."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from language_texts import Row, read_words
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from spellchecker import SpellChecker

from retrieval.models.language_router import latin_words, letter_groups, packed_router
from retrieval.models.reference_vectors import generic_captions

LATIN = ("de", "fr", "pt", "es", "cs", "it", "nl")
GROUPS = 1 << 14
"""Numbers that groups of letters are hashed to."""

_UNSEEN = 3e-8  # how often a word is said that nobody said
_COMMON = 3e-6  # how often English says a word that is one beyond doubt
_CLEAR = 3.0  # log-odds from which on such a word may still be a foreign one
_LONGEST = 24  # letters
_FREQUENT = 2000  # times that a dictionary counted a word, to be kept
_ENGLISH_WORDS, _OTHER_WORDS = 60_000, 25_000

Shares = dict[str, Mapping[str, float]]
"""For each language, how often it says a word."""


def router_arrays(rows: Iterable[Row], *, seed: int = 0) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a router that was fitted to captions and dictionaries."""
    said = _counted(rows)
    known = {
        language: Counter(dict(SpellChecker(language=language).word_frequency.items()))
        for language in ("en", *LATIN)
        if language != "cs"
    }
    odds = _log_odds(said, known)
    letters, bias = _letters(odds, seed)
    english = {word for word, _ in known["en"].most_common(30_000)}
    english |= {word for word, count in said["en"].items() if count >= 3}
    english |= {word for text in generic_captions() for word in latin_words(text)}

    def stays(word: str) -> bool:
        if odds[word] <= 0:
            return word in english
        frequent = any(counts[word] > _FREQUENT for counts in known.values())
        return frequent or any(counts[word] >= 2 for counts in said.values())

    return packed_router({word: odds[word] for word in odds if stays(word)}, letters, bias)


def _counted(rows: Iterable[Row]) -> dict[str, Counter[str]]:
    """Count the words of captions, and of the words that were translated by hand."""
    said: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.language in ("en", *LATIN):
            said[row.language].update(latin_words(row.text))
    for word in read_words():
        for language in LATIN:
            said[language].update(latin_words(word.get(language, "")) * 3)
    return said


def _log_odds(
    said: Mapping[str, Counter[str]], known: Mapping[str, Counter[str]]
) -> dict[str, float]:
    """Return the log-odds that a word is not English, of all words that anybody says."""
    shares = {language: _shares(said[language], known.get(language)) for language in said}
    words = {word for counts in said.values() for word, count in counts.items() if count >= 2}
    for language, counts in known.items():
        most = _ENGLISH_WORDS if language == "en" else _OTHER_WORDS
        words |= {word for word, _ in counts.most_common(most)}
    odds: dict[str, float] = {}
    for word in sorted(words):
        if not word.isalpha() or len(word) > _LONGEST:
            continue
        english = shares["en"].get(word, 0.0)
        other = max(shares[language].get(word, 0.0) for language in LATIN)
        value = math.log((other + _UNSEEN) / (english + _UNSEEN))
        odds[word] = min(value, 0.0) if english > _COMMON and value < _CLEAR else value
    for text in generic_captions():
        for word in latin_words(text):
            odds[word] = min(odds.get(word, 0.0), 0.0)
    for translated in read_words():
        for word in latin_words(translated["en"]):
            odds[word] = min(odds.get(word, 0.0), -2.0)
    return odds


def _shares(said: Counter[str], known: Counter[str] | None) -> dict[str, float]:
    """Return how often words are said: the mean of captions and of a dictionary."""
    sources = [said, *([known] if known else [])]
    mean: dict[str, float] = defaultdict(float)
    for counts in sources:
        total = sum(counts.values())
        for word, count in counts.items():
            mean[word] += count / total / len(sources)
    return mean


def _letters(odds: Mapping[str, float], seed: int) -> tuple[list[float], float]:
    """Fit log-odds to the groups of letters of words. Returns them, and the bias."""
    words = [word for word, value in odds.items() if abs(value) > 2 and len(word) > 2]
    words = [words[place] for place in np.random.default_rng(seed).permutation(len(words))[:50_000]]
    groups = [sorted(letter_groups(word, GROUPS)) for word in words]
    rows = np.repeat(np.arange(len(words)), [len(each) for each in groups])
    columns = np.concatenate([np.array(each) for each in groups])
    features = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(words), GROUPS))
    fitted = LogisticRegression(C=0.3, max_iter=60, solver="liblinear", random_state=seed)
    fitted.fit(features, [odds[word] > 0 for word in words])
    return fitted.coef_[0].tolist(), float(fitted.intercept_[0])

"""The dictionaries behind the hints, against the package whose words they hold."""

from __future__ import annotations

import random

import pytest
from spellchecker import SpellChecker

from retrieval.search.spell_hints import _dictionary


@pytest.mark.parametrize("language", ["en", "de"])
def test_words_usage_and_near_words_are_those_of_the_package(language: str) -> None:
    theirs, ours = SpellChecker(language=language, distance=1), _dictionary(language)
    rng, misspelt = random.Random(0), 0
    for word in rng.sample(sorted(theirs.word_frequency.dictionary), 60):
        at = rng.randrange(len(word) + 1)
        wrong = word[:at] + rng.choice("abcxyzé") + word[at:]
        assert ours.known([word, wrong]) == theirs.known([word, wrong])
        assert ours.frequency(word) == pytest.approx(theirs.word_usage_frequency(word), rel=1e-6)
        if not theirs.known([wrong]):
            misspelt += 1
            assert ours.near(wrong) == (theirs.candidates(wrong) or set())
    assert misspelt > 50
    assert ours.near("x" * 5_000) == set()
    assert ours.known([]) == set()
    assert ours.frequency("qzxjvkwq") == 0

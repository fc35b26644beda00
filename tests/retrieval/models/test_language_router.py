"""Which tower reads a text: told by its letters and words, with the weights that ship."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval._resources import resource
from retrieval.models.language_router import (
    LanguageRouter,
    letter_groups,
    packed_router,
    telling_words,
    word_hash,
)
from retrieval.models.language_tower import LanguageTower
from retrieval.models.reference_vectors import generic_captions
from retrieval.runtime.select_encoder import quick_encoder


@pytest.fixture(scope="module")
def tower() -> LanguageTower:
    return LanguageTower(resource("model"), quick_encoder("builtin", "cpu").fingerprint)


@pytest.mark.parametrize(
    "text",
    [
        "ein Hund am Strand",
        "Regenbogen",
        "un chien sur la plage",
        "vélo",
        "um cachorro na praia",
        "un perro en la playa",
        "pes na pláži",
        "un cane in spiaggia",
        "een hond op het strand",
        "собака на пляжі",
        "一只狗",
        "كلب على الشاطئ",
        "समुद्र तट पर कुत्ता",
        "perro on the beach",
        "a 狗 on the beach",
    ],
)
def test_another_language_is_told_by_its_words(tower: LanguageTower, text: str) -> None:
    assert tower.is_foreign(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a dog on the beach",
        "the Eiffel tower",
        "Washington D.C.",
        "dgo",
        "parasailing dachshunds",
        "zanzibar_party_0017",
        "IMG_1234.JPG",
        "a piano and a guitar",
        "taj mahal",
        "いぬ",
        "เชียงใหม่",
        "🚲🚲",
    ],
)
def test_english_names_and_what_nobody_reads_stay(tower: LanguageTower, text: str) -> None:
    assert not tower.is_foreign(text)


def test_no_generic_caption_is_taken_for_another_language(tower: LanguageTower) -> None:
    assert [text for text in generic_captions() if tower.is_foreign(text)] == []


def test_a_word_counts_by_the_list_before_it_counts_by_its_letters() -> None:
    groups = np.zeros(64)
    groups[:] = 1.0
    router = LanguageRouter.of(packed_router({"hund": 9.5, "dog": -3.25}, groups.tolist(), -2.0))
    assert router.listed("hund") == 9.5
    assert router.listed("dog") == -3.2  # in tenths
    assert router.listed("wxyzv") is None
    assert router.guessed("xyz") == 0.0  # too short to be told
    assert router.guessed("wxyzv") == pytest.approx(len(letter_groups("wxyzv", 64)) - 2.0)
    assert [router.is_foreign(text) for text in ("wxyzv", "the wxyzv")] == [True, False]
    assert router.hashes.tolist() == sorted(word_hash(word) for word in ("hund", "dog"))


@pytest.mark.parametrize(
    ("text", "words"),
    [("ein Hund", 1), ("un chien sur la plage", 2), ("一只黑狗", 2), ("кіт", 1), ("", 1)],
)
def test_short_words_say_nothing(text: str, words: int) -> None:
    assert telling_words(text) == words

"""The language of a query: from its letters, or from words that one dictionary has alone."""

from __future__ import annotations

import pytest

from indexer.core.errors import UsageError
from retrieval.models.languages import flores_code
from retrieval.search.query_language import language_of

KNOWN = ("eng_Latn", "deu_Latn", "zho_Hans", "zho_Hant", "nob_Latn")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("a dog on the beach", "en"),
        ("dog", "en"),
        ("", "en"),
        ("zzyzx", "en"),
        ("ein Hund am Strand", "de"),
        ("un perro en la playa", "es"),
        ("un chien sur la plage", "fr"),
        ("собака на пляже", "ru"),
        ("їжак на пляжі", "uk"),
        ("海边的狗", "zh"),
        ("雪の中の赤い車", "ja"),
        ("눈 속의 빨간 차", "ko"),
        ("كلب على الشاطئ", "ar"),
        ("سگ در پارک", "fa"),
        ("ein Hund 犬と海", "ja"),
        ("สุนัข", "th"),
    ],
)
def test_the_language_of_a_query(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("de", "deu_Latn"),
        ("DE", "deu_Latn"),
        ("de_AT", "deu_Latn"),
        ("deu_Latn", "deu_Latn"),
        ("zh", "zho_Hans"),
        ("zh-TW", "zho_Hant"),
        ("no", "nob_Latn"),
    ],
)
def test_a_language_by_its_code(named: str, code: str) -> None:
    assert flores_code(named, KNOWN) == code


@pytest.mark.parametrize("named", ["xx", "german", "fr"])
def test_a_language_that_the_model_lacks(named: str) -> None:
    with pytest.raises(UsageError, match=f"knows no language '{named}'"):
        flores_code(named, KNOWN)

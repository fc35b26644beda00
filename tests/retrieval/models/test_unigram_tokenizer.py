"""The pieces of words, against every way to cut a word."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import pytest

from retrieval.models.unigram_tokenizer import FIRST, UNKNOWN, UnigramTokenizer, normalized

PIECES = ["▁", "h", "u", "n", "d", "▁hu", "nd", "hund", "und", "▁h", "狗", "黑", "黑狗", "e"]
SCORES = [-3.0, -8.0, -8.1, -7.9, -8.2, -5.0, -4.5, -4.0, -4.2, -6.0, -5.0, -5.5, -9.0, -7.0]
TOKENIZER = UnigramTokenizer(PIECES, SCORES, context=4)


def best_of_all(word: str) -> list[int]:
    """Cut a word in every way, and return the ids of the likeliest one."""
    number = {piece: place for place, piece in enumerate(PIECES)}
    ways = []
    for count in range(len(word)):
        for inner in combinations(range(1, len(word)), count):
            parts = [word[a:b] for a, b in pairwise((0, *inner, len(word)))]
            if all(part in number for part in parts):
                ways.append((math.fsum(SCORES[number[part]] for part in parts), parts))
    return [number[part] + FIRST for part in max(ways)[1]]


@pytest.mark.parametrize("word", ["hund", "hunde", "undnd", "e", "黑狗", "狗黑", "huhu"])
def test_the_likeliest_way_to_cut_a_word_is_taken(word: str) -> None:
    (row,) = UnigramTokenizer(PIECES, SCORES, context=99).ids([word]).tolist()
    assert row == best_of_all(f"▁{word}")


def test_texts_are_padded_cut_and_without_what_is_unknown() -> None:
    ids = TOKENIZER.ids(["Hund", "hund hund hund", "h🚲", "", "🚲"])
    hund = best_of_all("▁hund")
    rows = [hund, (hund * 3)[:4], best_of_all("▁h"), [UNKNOWN], [UNKNOWN]]
    assert ids.tolist() == [row + [0] * (4 - len(row)) for row in rows]


def test_case_width_vowel_marks_and_a_closing_stop_make_no_difference() -> None:
    assert normalized("  Ein  HUND. ") == "ein hund"
    assert normalized("一只黑狗。") == "一只黑狗"
    assert normalized("ｈｕｎｄ!") == "hund"
    assert normalized("كَلْب أَسْوَد") == "كلب أسود"
    assert normalized("café") == normalized("cafe\u0301")

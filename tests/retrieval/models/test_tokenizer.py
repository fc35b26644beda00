"""Words of the built-in model as ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from retrieval._resources import resource
from retrieval.models.tokenizer import WordPieceTokenizer, behind, unread

CLS, SEP = 101, 102  # of BERT's vocabulary


@pytest.fixture(scope="module")
def words() -> WordPieceTokenizer:
    return WordPieceTokenizer(resource("model/tokenizer.json"), 64)


def test_an_unknown_sign_is_left_out(words: WordPieceTokenizer) -> None:
    plain = words.ids(["a dog", "a dog on a beach"])
    np.testing.assert_array_equal(words.ids(["🐶 a 🐶 dog", "a dog on 😀 a beach"]), plain)
    np.testing.assert_array_equal(words.ids(["🐶 a dog"]), words.ids(["a dog"]))


def test_of_unknown_signs_alone_nothing_is_left(words: WordPieceTokenizer) -> None:
    assert words.ids(["😀", "🐶🐕"]).tolist() == [[CLS, SEP], [CLS, SEP]]


def test_without_marks_at_the_ends_one_unknown_stays(tmp_path: Path) -> None:
    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "dog": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "words.json"))
    found = WordPieceTokenizer(tmp_path / "words.json", 8).ids(["cat cat", "cat dog", "dog dog"])
    assert found.tolist() == [[1, 0], [2, 0], [2, 2]]


def test_the_last_full_stop_is_left_out(words: WordPieceTokenizer) -> None:
    np.testing.assert_array_equal(words.ids(["A dog. "]), words.ids(["a dog"]))


FILLED = "a dog " * 31  # 62 words and two marks fill 64 tokens


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("a dog", ""),
        ("", ""),
        (FILLED.strip(), ""),
        (f"{FILLED}in the snow", "in the snow"),
        (f"{FILLED}in the snow. ", "in the snow."),
        ("犬" * 200, "犬" * 138),
    ],
)
def test_the_words_behind_the_last_token_are_told(
    words: WordPieceTokenizer, text: str, end: str
) -> None:
    assert unread(text, words.ids) == end


def test_the_end_is_found_by_what_is_too_long() -> None:
    assert behind("one two three four", lambda text: len(text) > 9) == "three four"

"""Words that are spotted on photos, against the formula."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval.builtin_reranker.word_detectors import (
    WORDS,
    WordDetectors,
    load_spotter,
    looked,
    no_words,
    save_spotter,
)
from retrieval.errors import ModelUnavailable
from retrieval.instructions.templates import words_of

WIDTH = 48


def spotter(words: tuple[str, ...] = ("blue", "dog", "red")) -> WordDetectors:
    rng = np.random.default_rng(3)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float16).astype(np.float32)

    wide = 4 * WIDTH
    return WordDetectors(
        words=words,
        mean=draw(wide),
        spread=np.abs(draw(wide)) + 0.5,
        weights=0.05 * draw(len(words), wide),
        bias=draw(len(words)),
        usual=draw(len(words)),
    )


def test_a_text_scores_by_its_words() -> None:
    mine = spotter()
    tokens = np.random.default_rng(0).normal(size=(2, 5, WIDTH)).astype(np.float32)
    scores = mine.score(["Two RED dogs.", "a cat", "dog"], tokens)

    def adds(word: str, photo: int) -> float:
        patches = tokens[photo, 1:]
        seen = [*tokens[photo, 0], *patches.mean(0), *patches.max(0), *patches.std(0)]
        place = mine.words.index(word)
        odds = float(mine.bias[place]) + sum(
            float(weight) * (float(value) - float(mean)) / float(spread)
            for weight, value, mean, spread in zip(
                mine.weights[place], seen, mine.mean, mine.spread, strict=True
            )
        )
        return -math.log1p(math.exp(-odds)) - float(mine.usual[place])

    for photo in range(2):
        dog, red = adds("dog", photo), adds("red", photo)
        assert scores[:, photo] == pytest.approx([red + dog, 0.0, dog], abs=1e-4)


def test_odds_are_those_of_all_words_together() -> None:
    mine = spotter()
    tokens = np.random.default_rng(0).normal(size=(3, 5, WIDTH)).astype(np.float32)
    odds = mine.odds(["red dogs", "a cat", "dog"], tokens)

    def chance(word: str) -> np.ndarray:
        log_p = mine.spotted([word], tokens)[0] + mine.usual[mine.words.index(word)]
        return np.exp(log_p)

    both, dog = chance("red") * chance("dog"), chance("dog")
    wanted = [np.log(both / (1 - both)), np.zeros(3), np.log(dog / (1 - dog))]
    assert odds == pytest.approx(np.array(wanted), rel=1e-5)


def test_odds_of_what_is_sure_are_finite() -> None:
    sure = replace(spotter(), bias=np.full(3, 1e4, dtype=np.float32))
    tokens = np.zeros((1, 5, WIDTH), dtype=np.float32)
    assert np.isfinite(sure.odds(["red dog"], tokens)).all()


def test_photos_on_which_anything_is_spotted_are_held_back() -> None:
    handfuls = np.array([[0, 1], [1, 2], [0, 2]], dtype=np.int32)
    mine, plain = replace(spotter(), handfuls=handfuls), spotter()
    tokens = np.random.default_rng(0).normal(size=(2, 5, WIDTH)).astype(np.float32)
    blue, dog, red = plain.spotted(["blue", "dog", "red"], tokens)
    anything = np.mean([(blue + dog) / 2, (dog + red) / 2, (blue + red) / 2], axis=0)
    texts = ["red", "a red dog", "a cat"]
    wanted = [red - 4 * 1 / 3 * anything, red + dog - 4 * 2 / 4 * anything, np.zeros(2)]
    assert mine.score(texts, tokens) == pytest.approx(np.array(wanted), abs=1e-5)
    assert np.array_equal(mine.spotted(texts, tokens), plain.score(texts, tokens))


def test_the_best_fifty_handfuls_count() -> None:
    rng = np.random.default_rng(1)
    mine = replace(spotter(), handfuls=rng.integers(3, size=(60, 2)).astype(np.int32))
    tokens = rng.normal(size=(1, 5, WIDTH)).astype(np.float32)
    each = mine.spotted(["blue", "dog", "red"], tokens)[:, 0]
    best = sorted(float(each[a] + each[b]) / 2 for a, b in mine.handfuls)[-50:]
    held = mine.spotted(["dog"], tokens) - mine.score(["dog"], tokens)
    assert held[0, 0] == pytest.approx(4 / 3 * sum(best) / 50, rel=1e-5)


def test_a_plural_is_its_word_and_a_word_counts_once() -> None:
    assert words_of("Two dogs, a DOG and its bus-stop.") == {
        "two", "dog", "a", "and", "it", "bu", "stop",
    }  # fmt: skip
    tokens = np.ones((1, 5, WIDTH), dtype=np.float32)
    mine = spotter()
    assert np.array_equal(mine.score(["dog"], tokens), mine.score(["dogs dog"], tokens))


def test_no_words_score_nothing() -> None:
    tokens = np.ones((3, 5, WIDTH), dtype=np.float32)
    assert np.array_equal(no_words().score(["a dog", "red"], tokens), np.zeros((2, 3)))
    assert looked(tokens).shape == (3, 4 * WIDTH)


def test_it_comes_back_from_disk(tmp_path: Path) -> None:
    mine = replace(spotter(), handfuls=np.array([[0, 2], [1, 2]], dtype=np.int32))
    save_spotter(mine, tmp_path)
    back, tokens = load_spotter(tmp_path), np.ones((1, 5, WIDTH), dtype=np.float32)
    assert back.words == ("blue", "dog", "red")
    assert np.array_equal(back.handfuls, mine.handfuls)
    wanted = mine.score(["red dog"], tokens)
    assert back.score(["red dog"], tokens) == pytest.approx(wanted, rel=2e-3)


@pytest.mark.parametrize(
    ("content", "message"), [(None, f"lacks {WORDS}"), (b"junk", "damaged or of another kind")]
)
def test_damage_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / WORDS).write_bytes(content)
    with pytest.raises(ModelUnavailable, match=message):
        load_spotter(tmp_path)

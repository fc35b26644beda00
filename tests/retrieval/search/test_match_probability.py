"""Scores as probabilities; the formulas are written out by hand, in numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from indexer.core.types import Kind
from retrieval._resources import resource
from retrieval.search.composed_query import ScoreScale
from retrieval.search.match_probability import (
    LARGEST,
    MatchCalibrator,
    ScoreSample,
    lifted_to,
)
from retrieval.search.results import FAINT, UNLIKELY

OWN = ScoreScale(mean=-0.2, spread=0.12)
HERE = ScoreSample(spread=0.13, median=-0.25, low=-0.35)


def by_library(items: int = 1000) -> MatchCalibrator:
    unit = ScoreScale(mean=-0.3, spread=0.15)
    return MatchCalibrator(unit=unit, own=None, query=Kind.TEXT, item=Kind.PHOTO, items=items)


def of_words(text: str = "a dog", **others: object) -> MatchCalibrator:
    found = replace(by_library(), own=OWN, here=HERE, text=text)
    return replace(found, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize("score", [-5.0, 0.0, 0.27, 0.3, 1.0])
def test_without_generic_items_the_library_alone_tells(score: float) -> None:
    z = (score + 0.3) / 0.15
    expected = 1 / (1 + np.exp(14.416 + 0.755 * np.log(500 / 1000) - 4.025 * z))
    assert by_library(500).probability(score) == pytest.approx(expected)


@pytest.mark.parametrize("score", [-1.0, 0.0, 0.2, 0.6])
def test_the_network_reads_what_the_table_says(score: float) -> None:
    arrays = load_file(resource("matching.safetensors"))
    values = [
        (score + 0.2) / 0.12,
        (score + 0.25) / 0.1,
        np.log(2),  # "two" and "dog"; "a photo of" says nothing
        np.log(0.12 / 0.15),
        np.log(0.13 / 0.12),
        (-0.2 + 0.3) / 0.15,
        np.log(400 / 1000),
        (-2.17 - 2.29) / 2,  # how often captions say "two" and "dog"
    ]
    hidden = np.tanh(
        (values - arrays["mean"]) / arrays["spread"] @ arrays["inner"] + arrays["inner_bias"]
    )
    log_odds = hidden @ arrays["outer"] + arrays["outer_bias"]
    found = of_words("a photo of two dogs", items=400).probability(score)
    assert found == pytest.approx(float(1 / (1 + np.exp(-log_odds[0]))), rel=0.01)


@pytest.mark.parametrize("text", ["dog", "a volcano", "two children play in the snow"])
@pytest.mark.parametrize("sharpness", [0.6, 1.0, 1.3])
def test_a_higher_score_is_never_less_likely(text: str, sharpness: float) -> None:
    own = ScoreScale(mean=-0.2, spread=0.15 * sharpness)
    found = of_words(text, own=own).probabilities(np.linspace(-1, 2, 301).tolist())
    assert (np.diff(found) >= 0).all()


def test_a_scale_of_scores_makes_no_difference() -> None:
    scaled = of_words(
        unit=ScoreScale(mean=-3.0, spread=1.5),
        own=ScoreScale(mean=-2.0, spread=1.2),
        here=ScoreSample(spread=1.3, median=-2.5, low=-3.5),
    )
    for score in (-0.3, 0.0, 0.4):
        assert scaled.probability(10 * score) == pytest.approx(of_words().probability(score))
        assert scaled.anything(10 * score) == of_words().anything(score)


def test_what_captions_often_say_is_likelier() -> None:
    common, rare = (of_words(text).probability(0.1) for text in ("dog", "quagga"))
    assert common > 2 * rare


def test_nothing_matches_where_the_best_hit_is_faint() -> None:
    matching = of_words("quagga")
    assert matching.probability(0.0) < FAINT
    assert not matching.anything(0.0)
    assert of_words("dog").anything(0.3)


def test_size_costs_up_to_the_largest() -> None:
    sizes = [by_library(items).probability(0.3) for items in (10, 1000, LARGEST, 100 * LARGEST)]
    assert sizes[0] > sizes[1] > sizes[2] == sizes[3]


def test_far_below_the_mean_is_nothing() -> None:
    assert by_library().probability(-1e9) == pytest.approx(0.0, abs=1e-100)
    assert by_library().probability(1e9) == pytest.approx(1.0)


@pytest.mark.parametrize("matching", [by_library(), of_words(), of_words("quagga")])
def test_the_even_score_is_a_match_as_likely_as_not(matching: MatchCalibrator) -> None:
    assert matching.probability(matching.even) == pytest.approx(0.5)


def test_scores_that_are_all_alike_tell_nothing() -> None:
    assert ScoreSample.of(np.full(40, 0.5, dtype=np.float32)) is None
    assert ScoreSample.of(np.zeros(0, dtype=np.float32)) is None


def test_a_word_lifts_less_where_pictures_show_the_thing() -> None:
    matching = of_words()
    assert matching.probability(0.3) > UNLIKELY > matching.probability(-0.3)
    assert matching.probability(lifted_to(matching, 0.3)) == pytest.approx(UNLIKELY)
    assert matching.probability(lifted_to(matching, -0.3)) == pytest.approx(0.5)

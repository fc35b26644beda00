"""Two models compared: equal ones, one case by hand, and both tests against scipy."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from indexer.core.encoder import Vectors
from retrieval.errors import EvaluationInvalid
from retrieval.evaluation import Evaluation, compare, evaluate
from retrieval.evaluation.compare import bootstrap_differences, sign_flip_p
from retrieval.pairs import Pair, PairSet, PhotoFile
from tests.fakes import COLOURS, ColourEncoder, draw


class Blind(ColourEncoder):
    """Sees colours, but takes every word for red: finds only what is red."""

    def encode_texts(self, texts: object) -> Vectors:
        red = super().encode_texts(["red"])
        return np.repeat(red, len(list(texts)), axis=0)  # type: ignore[call-overload]


@pytest.fixture
def pairs(tmp_path: Path) -> PairSet:
    """Eight photos of one colour; red has three captions, every other one has one."""
    names = {colour: (colour,) for colour in COLOURS}
    names["red"] = ("red", "a red door", "red paint")
    return PairSet(
        pairs=tuple(
            Pair(
                name=name,
                photo=PhotoFile(path=draw(tmp_path / f"{name}.png", name)),
                captions=captions,
            )
            for name, captions in names.items()
        )
    )


def test_equal_models_differ_by_nothing_with_p_1(pairs: PairSet) -> None:
    done = compare(evaluate(Blind(), pairs), evaluate(Blind(), pairs))
    every = [each for metrics in done.differences.values() for each in metrics.values()]
    assert len(every) == 12
    for each in [*every, done.rsum]:
        assert (each.value, each.low, each.high, each.p) == (0.0, 0.0, 0.0, 1.0)
        assert each.first == each.second


def test_a_difference_counted_by_hand(pairs: PairSet) -> None:
    done = compare(evaluate(Blind(), pairs), evaluate(ColourEncoder(), pairs))
    there = done.differences["text_to_image"]["R@1"]
    # Ten captions on eight photos: the blind model finds the three of the red photo.
    assert there.first == pytest.approx(30.0)
    assert there.second == pytest.approx(100.0)
    assert there.value == pytest.approx(70.0)
    # Seven photos gain, one stays: of the 2^7 sign patterns two are as far from zero.
    assert there.p == pytest.approx(2 / 2**7)
    assert there.low < 70.0 < there.high
    for direction in ("text_to_image", "image_to_text"):
        plain = getattr(done.second, direction)
        for k in (1, 5, 10):
            each = done.differences[direction][f"R@{k}"]
            assert each.second == pytest.approx(plain.hit_rate[k].value)
            each = done.differences[direction][f"recall@{k}"]
            assert each.second == pytest.approx(plain.recall[k].value)
    sums = [
        sum(each.value for name, each in metrics.items() if name.startswith("R@"))
        for metrics in done.differences.values()
    ]
    assert done.rsum.value == pytest.approx(sum(sums))
    assert done.rsum.second == pytest.approx(600.0)


def test_the_other_way_round_is_the_mirror_image(pairs: PairSet) -> None:
    one, other = evaluate(Blind(), pairs), evaluate(ColourEncoder(), pairs)
    there, back = compare(one, other), compare(other, one)
    assert back.rsum.value == pytest.approx(-there.rsum.value)
    assert (back.rsum.low, back.rsum.high) == pytest.approx((-there.rsum.high, -there.rsum.low))
    assert back.rsum.p == there.rsum.p


def test_json(pairs: PairSet) -> None:
    done = compare(evaluate(Blind(), pairs), evaluate(ColourEncoder(), pairs))
    plain = json.loads(json.dumps(done.as_json()))
    assert list(plain) == ["first", "second", "differences"]
    assert list(plain["differences"]) == ["text_to_image", "image_to_text", "rsum"]
    assert plain["differences"]["text_to_image"]["R@1"]["difference"] == 70.0
    assert set(plain["differences"]["rsum"]) == {"first", "second", "difference", "interval", "p"}


def test_other_photos_are_refused(pairs: PairSet) -> None:
    fewer: Evaluation = evaluate(Blind(), PairSet(pairs=pairs.pairs[1:]))
    with pytest.raises(EvaluationInvalid, match="different photos or captions"):
        compare(fewer, evaluate(Blind(), pairs))


@pytest.mark.parametrize("seed", range(3))
def test_few_photos_are_counted_out_as_scipy_does(seed: int) -> None:
    values = np.random.default_rng(seed).integers(-3, 5, size=(9, 2)).astype(np.float64)
    p = sign_flip_p(values, seed=0)
    for column, mine in zip(values.T, p, strict=True):
        theirs = stats.permutation_test(
            (column, np.zeros_like(column)),
            lambda x, y, axis: np.sum(x - y, axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=np.inf,
        )
        assert mine == pytest.approx(theirs.pvalue)


def test_many_photos_come_near_the_t_test() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal([0.0, 0.05, 0.12], 1.0, size=(800, 3))
    p = sign_flip_p(values, seed=0)
    assert p == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue, abs=0.02)
    assert (sign_flip_p(values, seed=0) == p).all()


def test_the_bootstrap_of_two_photos_has_its_three_outcomes() -> None:
    # Photo 0 has one query and gains 1, photo 1 has three and gains none: mean gain 1/4.
    gain, weights = np.array([[0.25], [0.0]]), np.array([[0.25], [0.75]])
    drawn = bootstrap_differences(gain, weights, seed=0)[:, 0]
    outcomes = {
        sum(g[c] for c in draw) / sum(w[c] for c in draw)
        for draw in itertools.product((0, 1), repeat=2)
        for g, w in [(gain[:, 0], weights[:, 0])]
    }
    assert set(drawn) == outcomes == {0.0, 0.25, 1.0}
    assert np.mean(drawn == 0.25) == pytest.approx(0.5, abs=0.04)


def test_captions_of_one_photo_widen_the_interval_as_clusters_do() -> None:
    # Five captions that always agree carry the information of one: the spread is that of photos.
    rng = np.random.default_rng(2)
    photo: NDArray[np.float64] = rng.integers(-1, 2, 400).astype(np.float64)
    drawn = bootstrap_differences(photo[:, None] / 400, np.full((400, 1), 1 / 400), seed=0)[:, 0]
    assert drawn.std() == pytest.approx(photo.std() / np.sqrt(400), rel=0.06)

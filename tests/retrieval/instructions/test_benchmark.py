"""Whether instructions are followed: by one that obeys, one that is deaf, and by the formulas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from retrieval.errors import EvaluationInvalid
from retrieval.evaluation import evaluate
from retrieval.instructions.benchmark import (
    InstructionBenchmark,
    ndcg,
    p_mrr,
    run_benchmark,
    searching,
)
from retrieval.instructions.caption_labels import label
from retrieval.instructions.templates import Ask, Attribute, InstructionTemplates, Wordings
from retrieval.pairs import read_pairs
from retrieval.reranking import FusionWeights
from tests.fakes import COLOURS, ColourEncoder, ColourReranker
from tests.tiny import colour_pairs

ASKS = {
    Ask.WITHOUT: Wordings(
        learned=(), tuning=("without {}",), held=("no {}", "there shall be no {} at all")
    ),
    Ask.WITH: Wordings(learned=(), tuning=("with {}",), held=("with much {}",)),
    Ask.ANYTHING: Wordings(learned=(), tuning=("any",), held=("whatever fits",)),
}
GRAMMAR = InstructionTemplates(
    attributes=tuple(
        Attribute(family="left" if number < 4 else "right", phrase=colour, words=(colour,))
        for number, colour in enumerate(COLOURS)
    ),
    held_families=frozenset({"right"}),
    templates=ASKS,
)


@pytest.fixture
def exam(tmp_path: Path) -> InstructionBenchmark:
    pairs = read_pairs(colour_pairs(tmp_path)).pairs
    encoder = ColourEncoder()
    photos = [pair.open() for pair in pairs]
    return InstructionBenchmark(
        grammar=GRAMMAR,
        labels=label(GRAMMAR.attributes, [pair.captions for pair in pairs], [{}] * len(pairs)),
        sights=photos,
        search=searching(encoder, encoder.encode_images(photos)),
    )


def test_one_that_obeys_scores_high_and_one_that_is_deaf_scores_0(
    exam: InstructionBenchmark,
) -> None:
    done = run_benchmark(ColourReranker(FusionWeights(instructed=1.0)), exam)
    assert done.families == ("right",)
    assert done.robustness == pytest.approx(100.0)
    assert done.p_mrr > 30
    assert (done.controls["none"], done.controls["generic"]) == (0.0, 0.0)
    deaf = run_benchmark(ColourReranker(FusionWeights(instructed=0.0)), exam)
    assert (deaf.p_mrr, deaf.p_mrr_interval) == (0.0, (0.0, 0.0))
    assert done.instances == deaf.instances
    assert deaf.robustness < 70


def test_one_that_obeys_another_wish_lets_both_sides_fall_alike(exam: InstructionBenchmark) -> None:
    done = run_benchmark(ColourReranker(FusionWeights(instructed=1.0)), exam)
    assert done.swapped_fall > 20  # photos that stand high can only fall
    assert abs(done.controls["swapped"]) < 1


def test_photos_that_captions_leave_open_count_as_wrong_or_not_at_all(
    exam: InstructionBenchmark,
) -> None:
    some = np.random.default_rng(0).random(exam.labels.shape) < 0.2
    exam = replace(exam, labels=np.where(some, 0, exam.labels).astype(np.int8))
    done = run_benchmark(ColourReranker(FusionWeights(instructed=1.0)), exam)
    assert done.robustness_told == pytest.approx(100.0)
    assert done.robustness < 99
    assert done.robustness <= done.ndcg


def test_one_that_does_the_contrary_scores_below_0(exam: InstructionBenchmark) -> None:
    class Contrary(ColourReranker):
        def score(self, asked, sights):  # type: ignore[no-untyped-def]
            plain = super().score([(query, "") for query, _ in asked], sights)
            return 2 * plain - super().score(asked, sights)

    assert run_benchmark(Contrary(FusionWeights(instructed=1.0)), exam).p_mrr < -10


def test_photos_that_tell_nothing_are_refused(exam: InstructionBenchmark) -> None:
    with pytest.raises(EvaluationInvalid, match="are not enough for a benchmark"):
        run_benchmark(ColourReranker(FusionWeights()), replace(exam, labels=0 * exam.labels))


def test_p_mrr_by_hand() -> None:
    fell, rose = 1 - 1 / 2, 2 / 4 - 1
    assert p_mrr(np.array([1, 4]), np.array([2, 2])) == pytest.approx((fell + rose) / 2)
    assert p_mrr(np.array([3]), np.array([3])) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_ndcg_is_that_of_scikit_learn(seed: int) -> None:
    relevant = np.random.default_rng(seed).random(30) < 0.3
    theirs = ndcg_score([relevant.astype(float)], [-np.arange(30.0)], k=10)
    assert ndcg(relevant, 10) == pytest.approx(theirs)


def test_an_evaluation_with_a_second_stage_keeps_the_first(tmp_path: Path) -> None:
    pairs, encoder = read_pairs(colour_pairs(tmp_path)), ColourEncoder()
    alone = evaluate(encoder, pairs)
    both = evaluate(encoder, pairs, reranker=ColourReranker(FusionWeights(text_to_image=1.0)))
    assert both.first_stage == alone.first_stage
    assert both.image_to_text == alone.image_to_text  # off in that direction
    assert list(both.as_json()) == list(alone.as_json())
    assert (both.reranker, alone.reranker) == ("colours", None)
    off = evaluate(encoder, pairs, reranker=ColourReranker(FusionWeights()))
    assert off.text_to_image == alone.text_to_image

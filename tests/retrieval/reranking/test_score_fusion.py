"""First stage and reranker added up."""

from __future__ import annotations

import math

import numpy as np
import pytest

from indexer.core.errors import UsageError
from indexer.core.types import Kind
from retrieval.reranking import FusionWeights, combine_scores


def test_scores_are_added_around_their_mean() -> None:
    first, scores = np.array([0.3, 0.2, 0.1]), np.array([1.0, 4.0, 7.0])
    assert combine_scores(first, scores, 0.1) == pytest.approx([0.3 - 0.3, 0.2, 0.1 + 0.3])


def test_what_cannot_be_rescored_keeps_its_score() -> None:
    first, scores = np.array([0.3, 0.2, 0.1]), np.array([1.0, np.nan, 7.0])
    assert combine_scores(first, scores, 0.1) == pytest.approx([0.0, 0.2, 0.4])
    assert combine_scores(first, np.full(3, np.nan), 0.1) == pytest.approx(first)


def test_each_query_has_a_mean_of_its_own() -> None:
    first, scores = np.zeros((2, 2)), np.array([[0.0, 2.0], [10.0, 30.0]])
    assert combine_scores(first, scores, 1.0) == pytest.approx(
        np.array([[-1.0, 1.0], [-10.0, 10.0]])
    )


def test_a_weight_belongs_to_a_direction() -> None:
    fusion = FusionWeights(text_to_image=0.1, image_to_text=0.2)
    assert fusion.weight(query=Kind.TEXT, item=Kind.PHOTO) == 0.1
    assert fusion.weight(query=Kind.PHOTO, item=Kind.TEXT) == 0.2
    assert fusion.weight(query=Kind.PHOTO, item=Kind.PHOTO) == 0.0


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_is_a_number_from_0_on(weight: float) -> None:
    with pytest.raises(UsageError, match="a weight must be 0 or above"):
        FusionWeights(instructed=weight)


def test_a_candidate_obeys_by_how_far_its_score_changes() -> None:
    fusion = FusionWeights(obeying=0.5, obeying_offset=math.log(3))
    likely = fusion.obeys(np.array([0.0, 2 * math.log(2), -2 * math.log(3)]))
    assert likely == pytest.approx([3 / 4, 6 / 7, 1 / 2])  # odds of 3, of 3 * 2, of 3 / 3


def test_where_obeying_was_never_measured_nobody_knows() -> None:
    assert np.isnan(FusionWeights(instructed=0.1).obeys(np.array([1.0, 2.0]))).all()
    with pytest.raises(UsageError, match="obeying_offset must be finite, not nan"):
        FusionWeights(obeying_offset=math.nan)

"""Words add to the score of the embedding, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from indexer.core.types import Candidate
from retrieval.search.lexical_fusion import LIFT, TELLING, WEIGHT, exact_match_boosts, fused

CANDIDATES = [Candidate(id=1, score=0.5), Candidate(id=2, score=0.4)]


def score(ids: Sequence[int]) -> np.ndarray:
    return np.array([id_ / 100 for id_ in ids], dtype=np.float32)


def test_words_add_their_share_and_bring_others_in() -> None:
    found = fused(CANDIDATES, [(2, 3.0), (7, 8.0)], score)
    assert [hit.id for hit in found] == [7, 2, 1]
    wanted = [0.07 + 8 * WEIGHT, 0.4 + 3 * WEIGHT, 0.5]
    assert [hit.score for hit in found] == pytest.approx(wanted)


def test_without_shared_words_nothing_changes() -> None:
    assert fused(CANDIDATES, [], score) == CANDIDATES


def test_of_equal_scores_the_lower_id_goes_first() -> None:
    found = fused([Candidate(id=9, score=0.5)], [(50, 0.0), (3, 0.0)], score)
    assert [hit.id for hit in found] == [9, 50, 3]  # 0.5, 0.5, 0.03


def test_what_has_all_the_words_is_lifted_nearly_to_an_even_chance() -> None:
    named = [(7, 1.0), (60, 0.5), (3, TELLING - 0.01)]  # the last one's words tell too little
    assert exact_match_boosts(named, score, even=0.5) == {
        7: pytest.approx(LIFT * 0.43),
        60: 0.0,
    }
    found = fused(CANDIDATES, [(7, 1.0), (2, 1.0)], score, {7: 0.43})
    assert [hit.id for hit in found] == [7, 1, 2]
    assert found[0].score == pytest.approx(0.07 + 0.43 + WEIGHT)


def test_what_is_lifted_keeps_its_order() -> None:
    named = [(7, 1.0), (9, 1.0), (8, 1.0)]
    found = fused([], named, score, exact_match_boosts(named, score, even=0.5))
    assert [hit.id for hit in found] == [9, 8, 7]


def test_where_no_word_tells_enough_nothing_is_lifted() -> None:
    assert exact_match_boosts([(3, TELLING - 0.01)], score, even=0.5) == {}

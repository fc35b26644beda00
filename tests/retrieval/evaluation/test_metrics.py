"""Metrics against torchmetrics, against a brute-force sort, and at the traps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchmetrics.retrieval import RetrievalHitRate, RetrievalRecall

from retrieval.errors import EvaluationInvalid
from retrieval.evaluation import metrics

Q, N = 40, 60


def random_case(seed: int) -> tuple[NDArray[np.float64], list[NDArray[np.int64]]]:
    """Distinct random scores, and one to five relevant items a query."""
    rng = np.random.default_rng(seed)
    scores = rng.permutation(Q * N).reshape(Q, N) / (Q * N)
    relevant = [np.sort(rng.choice(N, rng.integers(1, 6), replace=False)) for _ in range(Q)]
    return scores, relevant


def by_sorting(row: NDArray[np.float64], columns: NDArray[np.int64]) -> list[int]:
    """Rank by sorting: score down, and on a tie the irrelevant first."""
    order = sorted(range(len(row)), key=lambda item: (-row[item], item in columns))
    return [rank for rank, item in enumerate(order, start=1) if item in columns]


def torchmetrics_mean(
    metric: type, k: int, scores: NDArray[np.float64], relevant: list[NDArray[np.int64]]
) -> float:
    """The same number out of torchmetrics."""
    target = np.zeros(scores.shape, dtype=bool)
    for row, columns in zip(target, relevant, strict=True):
        row[columns] = True
    queries = torch.arange(Q).repeat_interleave(N)
    flat = torch.from_numpy(scores.ravel()), torch.from_numpy(target.ravel())
    return float(metric(top_k=k)(*flat, indexes=queries))


@pytest.mark.parametrize("k", [1, 5, 10, 60])
@pytest.mark.parametrize("seed", [0, 1])
def test_metrics_equal_torchmetrics(k: int, seed: int) -> None:
    scores, relevant = random_case(seed)
    ranks = metrics.ranks_of_scores(scores, relevant)
    expected_hit = torchmetrics_mean(RetrievalHitRate, k, scores, relevant)
    expected_recall = torchmetrics_mean(RetrievalRecall, k, scores, relevant)
    assert metrics.hit_rate_at_k(ranks, k).mean() == pytest.approx(expected_hit, abs=1e-6)
    assert metrics.recall_at_k(ranks, k).mean() == pytest.approx(expected_recall, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_ranks_equal_a_sort_even_with_ties(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    row = np.array(
        data.draw(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=n, max_size=n))
    )
    columns = np.array(data.draw(st.sets(st.integers(0, n - 1), min_size=1).map(sorted)))
    (ranks,) = metrics.ranks_of_scores(row[None], [columns])
    assert ranks.tolist() == by_sorting(row, columns)


def test_constant_scores_rank_the_answer_last() -> None:
    (ranks,) = metrics.ranks_of_scores(np.zeros((1, 10)), [np.array([0])])
    assert ranks.tolist() == [10]


def test_relevant_items_that_tie_with_each_other_cost_nothing() -> None:
    (ranks,) = metrics.ranks_of_scores(np.array([[0.9, 0.9, 0.1]]), [np.array([0, 1])])
    assert ranks.tolist() == [1, 2]


def test_nan_raises_where_a_count_would_say_rank_one() -> None:
    scores = np.full((1, 10), np.nan)
    assert 1 + int((scores[0, 1:] >= scores[0, 0]).sum()) == 1  # the trap
    with pytest.raises(EvaluationInvalid, match="NaN"):
        metrics.ranks_of_scores(scores, [np.array([0])])


def test_a_query_without_relevant_items_raises() -> None:
    with pytest.raises(EvaluationInvalid, match="no relevant item"):
        metrics.ranks_of_scores(np.zeros((1, 3)), [np.array([], dtype=np.int64)])


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    queries, items = rng.normal(size=(23, 8)), rng.normal(size=(31, 8))
    relevant = [np.array([row, row + 1]) for row in range(23)]
    whole = metrics.ranks_of_scores(queries @ items.T, relevant)
    monkeypatch.setattr(metrics, "BLOCK", 5)
    blocks = metrics.ranks_of_vectors(queries, items, relevant)
    assert [row.tolist() for row in blocks] == [row.tolist() for row in whole]


def test_median_rank_takes_the_best_rank_of_each_query() -> None:
    ranks = (np.array([1, 9]), np.array([4, 5]), np.array([2, 3]), np.array([7]))
    assert metrics.median_rank(ranks) == 3.0


def test_interval_is_seeded_and_of_the_normal_width() -> None:
    values = np.random.default_rng(5).integers(0, 2, 400).astype(np.float64)
    low, high = metrics.bootstrap_interval(values)
    assert (low, high) == metrics.bootstrap_interval(values)
    # The mean of 400 coin flips has standard error sqrt(p(1-p)/400); 1.96 of them a side.
    normal = 1.96 * np.sqrt(values.mean() * (1 - values.mean()) / 400)
    assert low == pytest.approx(values.mean() - normal, abs=0.006)
    assert high == pytest.approx(values.mean() + normal, abs=0.006)


def test_interval_of_equal_values_is_a_point() -> None:
    assert metrics.bootstrap_interval(np.ones(7)) == (1.0, 1.0)


@pytest.mark.parametrize("values", [np.array([]), np.array([0.0, np.nan])])
def test_interval_refuses_nothing_and_nan(values: NDArray[np.float64]) -> None:
    with pytest.raises(EvaluationInvalid):
        metrics.bootstrap_interval(values)

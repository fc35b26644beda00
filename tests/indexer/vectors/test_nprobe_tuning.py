"""True neighbours by comparing with all, and the fewest lists that find enough of them."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.core.errors import UsageError
from indexer.core.types import Kind
from indexer.vectors.nprobe_tuning import (
    RecallTarget,
    SearchParams,
    TuningQueries,
    choose_nprobe,
    halved,
    nearest,
)
from indexer.vectors.segments import Segment


def test_the_nearest_are_those_of_a_full_sort_but_the_query_itself() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(90, 6)).astype(np.float16)
    ids = np.arange(90) * 3 + 1
    parts = [
        Segment(kind=Kind.PHOTO, ids=ids[rows], vectors=vectors[rows])
        for rows in (slice(0, 50), slice(50, 52), slice(52, 90))
    ]
    wide = vectors.astype(np.float32)
    queries = np.concatenate([wide[[7, 60]], rng.normal(size=(2, 6)).astype(np.float32)])
    own = np.array([ids[7], ids[60], -1, -1])
    found = nearest(parts, TuningQueries(vectors=queries, own=own), 20)
    for query, itself, row in zip(queries, own, found, strict=True):
        order = ids[np.argsort(-(wide @ query), kind="stable")]
        assert row.tolist() == order[order != itself][:20].tolist()


def test_enough_lists_for_each_kind_and_depth() -> None:
    # Of 100 queries each finds its first neighbour in the first list, the others in the fourth.
    easy = np.zeros((100, 100), dtype=np.int64)
    words = easy.copy()
    words[:, 1:] = 3
    assert choose_nprobe({Kind.PHOTO: easy}, 0.95) == {10: 1, 100: 1, 1000: 1}
    assert choose_nprobe({Kind.PHOTO: easy, Kind.TEXT: words}, 0.95) == {10: 4, 100: 4, 1000: 4}
    assert choose_nprobe({Kind.TEXT: words}, 0.09) == {10: 1, 100: 4, 1000: 4}
    assert choose_nprobe({}, 0.95) == {10: 1, 100: 1, 1000: 1}


def test_a_recall_that_chance_may_take_away_is_not_enough() -> None:
    # 96 of 100 queries find all in the first list, 4 nothing: 0.96 with a standard error of 0.02.
    ranks = np.zeros((100, 10), dtype=np.int64)
    ranks[:4] = 7
    assert choose_nprobe({Kind.TEXT: ranks}, 0.92)[10] == 1
    assert choose_nprobe({Kind.TEXT: ranks}, 0.93)[10] == 8


def test_one_half_chooses_and_the_other_reports() -> None:
    asking = {Kind.TEXT: TuningQueries(vectors=np.eye(5, dtype=np.float32), own=np.arange(5))}
    halves = [halved(asking, half)[Kind.TEXT].own.tolist() for half in (0, 1)]
    assert halves == [[0, 2, 4], [1, 3]]


def test_aims_and_plans_come_back() -> None:
    aim = RecallTarget(recall=0.9, exact_rows=7)
    assert RecallTarget.loads(aim.dumps()) == aim
    assert RecallTarget.loads("") == RecallTarget(recall=0.98, exact_rows=100_000)
    plan = SearchParams(probes={10: 3, 100: 9}, bytes=5, checksum="c")
    assert SearchParams.loads(plan.dumps()) == plan


def test_small_libraries_and_full_recall_are_exact() -> None:
    assert [RecallTarget(exact_rows=5).is_exact(size) for size in (5, 6)] == [True, False]
    assert RecallTarget(recall=1, exact_rows=5).is_exact(6)


@pytest.mark.parametrize("recall", [0, -1, 1.1])
def test_a_recall_that_is_none_is_refused(recall: float) -> None:
    with pytest.raises(UsageError, match="recall must be above 0 and at most 1"):
        RecallTarget(recall=recall)

"""FAISS behind ids of our own: exact, in a fixed order, without padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.core.errors import LibraryDamaged
from indexer.core.types import Candidate
from indexer.vectors.flat_index import FlatIndex, MutableFlatIndex


def _index(*rows: tuple[int, list[float]]) -> MutableFlatIndex:
    index = MutableFlatIndex(2)
    ids = np.array([id_ for id_, _ in rows], dtype=np.int64)
    index.add(ids, np.array([vector for _, vector in rows], dtype=np.float16))
    return index


QUERY = np.array([[1.0, 0.0]], dtype=np.float32)


def test_best_first_without_padding() -> None:
    index = _index((7, [0.0, 1.0]), (90, [1.0, 0.0]), (8, [-1.0, 0.0]))
    assert index.search(QUERY, 10) == [
        [Candidate(id=90, score=1.0), Candidate(id=7, score=0.0), Candidate(id=8, score=-1.0)]
    ]
    assert index.search(QUERY, 1) == [[Candidate(id=90, score=1.0)]]


def test_one_list_a_query() -> None:
    index = _index((1, [1.0, 0.0]), (2, [0.0, 1.0]))
    lists = index.search(np.array([[0.0, 1.0], [1.0, 0.0]], dtype=np.float32), 1)
    assert [hits[0].id for hits in lists] == [2, 1]
    assert index.search(np.empty((0, 2), dtype=np.float32), 1) == []


def test_an_empty_index_and_no_k() -> None:
    assert MutableFlatIndex(2).search(QUERY, 5) == [[]]
    assert _index((1, [1.0, 0.0])).search(QUERY, 0) == [[]]


def test_excluded_ids_are_never_answered() -> None:
    index = _index((1, [1.0, 0.0]), (2, [0.5, 0.0]), (3, [0.25, 0.0]))
    hits = index.search(QUERY, 2, excluded=np.array([1]))[0]
    assert hits == [Candidate(id=2, score=0.5), Candidate(id=3, score=0.25)]
    assert index.search(QUERY, 2, excluded=np.array([1, 2, 3])) == [[]]


@pytest.mark.parametrize("k", [1, 2, 5, 40, 100])
def test_equal_scores_go_by_id_even_at_the_cut(k: int) -> None:
    ids = np.random.default_rng(0).permutation(100)
    index = _index(*[(int(id_), [1.0, 0.0]) for id_ in ids], (100, [0.0, 1.0]))
    assert [hit.id for hit in index.search(QUERY, k)[0]] == list(range(k))


def test_vectors_come_back(tmp_path: Path) -> None:
    index = _index((5, [0.25, 0.5]), (3, [1.0, 0.0]))
    index.save(tmp_path / "a.faiss")
    again = FlatIndex.load(tmp_path / "a.faiss", dim=2, size=2)
    assert again.fetch(np.array([3, 5])).tolist() == [[1.0, 0.0], [0.25, 0.5]]
    assert again.search(QUERY, 2) == index.search(QUERY, 2)
    with pytest.raises(KeyError):
        again.fetch(np.array([4]))


def test_another_size_is_refused(tmp_path: Path) -> None:
    _index((5, [0.25, 0.5])).save(tmp_path / "a.faiss")
    for dim, size in ((30, 1), (2, 2)):
        with pytest.raises(LibraryDamaged, match=f"does not hold {size} vectors of {dim}"):
            FlatIndex.load(tmp_path / "a.faiss", dim=dim, size=size)


def test_only_some_ids_are_answered() -> None:
    index = MutableFlatIndex(4)
    index.add(np.arange(1, 6), np.eye(5, 4, dtype=np.float16))
    (hits,) = index.search(np.eye(1, 4, dtype=np.float32), 9, only=np.array([2, 4, 99]))
    assert [hit.id for hit in hits] == [2, 4]
    (hits,) = index.search(
        np.eye(1, 4, dtype=np.float32), 9, only=np.array([1, 2]), excluded=np.array([1])
    )
    assert [hit.id for hit in hits] == [2]
    assert index.search(np.eye(1, 4, dtype=np.float32), 9, only=np.empty(0, np.int64)) == [[]]

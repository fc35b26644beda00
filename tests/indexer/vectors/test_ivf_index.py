"""Lists of vectors: exact when all are looked through, and as sure as the ranks say when not."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.core.errors import LibraryDamaged
from indexer.core.types import Kind
from indexer.vectors.flat_index import MutableFlatIndex
from indexer.vectors.ivf_index import IvfIndex, list_count, make, training_rows
from indexer.vectors.nprobe_tuning import TuningQueries, nearest, recall_at
from indexer.vectors.segments import MappedSegment, Segment, SegmentVectors

DIM, ROWS = 12, 2_000


def _segment(seed: int, rows: int, *, levels: int = 0) -> Segment:
    """Random vectors under ids that leave gaps; of few values if `levels`, so scores tie."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-levels, levels + 1, (rows, DIM)) / 4 if levels else rng.normal(
        size=(rows, DIM)
    )  # fmt: skip
    ids = np.sort(rng.permutation(3 * rows)[:rows]) + 1
    return Segment(kind=Kind.PHOTO, ids=ids, vectors=vectors.astype(np.float16))


def _index(segment: Segment, probes: dict[int, int], exact_rows: int = 0) -> IvfIndex:
    rows = SegmentVectors([MappedSegment(ids=segment.ids, vectors=segment.vectors)], DIM)
    sample = segment.vectors.astype(np.float32)
    lists = make([segment], sample, len(segment.ids))
    return IvfIndex(DIM, lists, probes=probes, rows=rows, exact_rows=exact_rows)


def _queries(seed: int, rows: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, DIM)).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 120), k=st.integers(1, 130))
def test_all_lists_together_are_exact(seed: int, rows: int, k: int) -> None:
    segment = _segment(seed, rows, levels=2)
    exact = MutableFlatIndex(DIM)
    exact.add(segment.ids, segment.vectors)
    index = _index(segment, {})
    queries = (np.random.default_rng(seed + 1).integers(-2, 3, (3, DIM)) / 4).astype(np.float32)
    gone = segment.ids[::3]
    for excluded, only in ((None, None), (gone, None), (gone, segment.ids[::2])):
        found = index.search(queries, k, excluded=excluded, only=only)
        assert found == exact.search(queries, k, excluded=excluded, only=only)


def test_the_ranks_tell_the_recall_of_a_search() -> None:
    segment, queries = _segment(0, ROWS), _queries(1)
    index = _index(segment, {})
    asking = TuningQueries(vectors=queries, own=np.full(len(queries), -1))
    truth = nearest([segment], asking, 10)
    ranks = index.ranks(queries, truth)
    assert index.lists == list_count(ROWS) == 64
    for probes in (1, 4, 16, 64):
        found = index.probe(queries, 10, probes=probes)
        shares = [
            len({hit.id for hit in hits} & set(row)) / 10
            for hits, row in zip(found, truth.tolist(), strict=True)
        ]
        assert recall_at(ranks, probes) == pytest.approx(np.mean(shares))
    assert recall_at(ranks, 1) < recall_at(ranks, 64) == 1.0


def test_the_same_vectors_make_the_same_lists(tmp_path: Path) -> None:
    segment = _segment(0, ROWS)
    for name in "ab":
        _index(segment, {}).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_deep_search_looks_through_more_lists() -> None:
    index = _index(_segment(0, ROWS), {100: 9, 10: 3})
    assert [index.probes_for(k) for k in (1, 10, 11, 100, 101)] == [3, 3, 9, 9, 64]


def test_what_a_filter_leaves_is_found() -> None:
    segment, queries = _segment(0, ROWS), _queries(2)
    index = _index(segment, {10: 2}, exact_rows=300)
    exact = MutableFlatIndex(DIM)
    exact.add(segment.ids, segment.vectors)
    assert index.probes_for(10, 300) == index.lists
    assert index.probes_for(10, 400) == 10  # a fifth of the vectors counts: five times the lists
    few = segment.ids[:300]
    assert index.search(queries, 10, only=few) == exact.search(queries, 10, only=few)


def test_as_many_as_wanted_come_back_however_few_lists_hold_them() -> None:
    segment, queries = _segment(0, ROWS), _queries(2)
    index = _index(segment, {1000: 1})
    for k in (10, 500, ROWS):
        assert {len(hits) for hits in index.search(queries, k)} == {k}
    gone = segment.ids[5:]
    assert {len(hits) for hits in index.search(queries, 5, excluded=gone)} == {5}


def test_vectors_and_lists_come_back(tmp_path: Path) -> None:
    segment = _segment(0, ROWS)
    index = _index(segment, {10: 4})
    index.save(tmp_path / "a.faiss")
    rows = SegmentVectors([MappedSegment(ids=segment.ids, vectors=segment.vectors)], DIM)
    again = IvfIndex.load(
        tmp_path / "a.faiss", dim=DIM, size=ROWS, probes={10: 4}, rows=rows, exact_rows=0
    )
    assert again.search(_queries(3), 10) == index.search(_queries(3), 10)
    assert np.array_equal(again.fetch(segment.ids[[5, 2]]), segment.vectors[[5, 2]])
    with pytest.raises(KeyError):
        again.fetch(np.array([3 * ROWS + 9]))


def test_another_index_is_refused(tmp_path: Path) -> None:
    segment = _segment(0, 50)
    exact, path = MutableFlatIndex(DIM), tmp_path / "a.faiss"
    exact.add(segment.ids, segment.vectors)
    rows = SegmentVectors([], DIM)
    exact.save(path)
    with pytest.raises(LibraryDamaged, match="is not a FAISS index of type IVF"):
        IvfIndex.load(path, dim=DIM, size=50, probes={}, rows=rows, exact_rows=0)
    _index(segment, {}).save(path)
    with pytest.raises(LibraryDamaged, match="does not hold 51 vectors of 12"):
        IvfIndex.load(path, dim=DIM, size=51, probes={}, rows=rows, exact_rows=0)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(LibraryDamaged, match="is not a FAISS index"):
        IvfIndex.load(path, dim=DIM, size=50, probes={}, rows=rows, exact_rows=0)


def test_the_number_of_lists_grows_with_the_root() -> None:
    assert [list_count(size) for size in (0, 1, 2, 100_000, 1_000_000)] == [1, 1, 2, 512, 2048]
    assert training_rows(1_000_000) == 40 * 2048
    assert training_rows(10) == 10


def test_a_faiss_without_gpus_makes_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus = _index(_segment(0, 50), {}).search(_queries(1), 3)
    monkeypatch.delattr(faiss, "get_num_gpus", raising=False)
    assert _index(_segment(0, 50), {}).search(_queries(1), 3) == with_gpus

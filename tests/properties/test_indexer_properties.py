"""What holds for any segment, any index and any batches."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.calibration.hubness import with_alpha
from indexer.core.types import Kind
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.vectors.flat_index import MutableFlatIndex
from indexer.vectors.segments import Segment, SegmentStore
from tests.fakes import COLOURS, ColourEncoder, draw

few = settings(max_examples=30, deadline=None)
fewer = settings(max_examples=8, deadline=None)
ENCODER = ColourEncoder()


def _half(seed: int, rows: int, dim: int) -> np.ndarray:
    """Vectors of few distinct values, so that equal scores are common."""
    levels = np.random.default_rng(seed).integers(-2, 3, (rows, dim))
    return (levels / 4).astype(np.float16)


@few
@given(
    ids=st.sets(st.integers(1, 2**62), max_size=40),
    dim=st.integers(1, 16),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(Kind),
)
def test_a_segment_comes_back(ids: set[int], dim: int, seed: int, kind: Kind) -> None:
    vectors = np.random.default_rng(seed).normal(size=(len(ids), dim)).astype(np.float16)
    segment = Segment(kind=kind, ids=np.array(sorted(ids), dtype=np.int64), vectors=vectors)
    with tempfile.TemporaryDirectory() as folder:
        store = SegmentStore(Path(folder), dim)
        (row,) = store.write([segment], 1)
        again = store.read(row)
    assert again.kind == kind
    assert np.array_equal(again.ids, segment.ids)
    assert np.array_equal(again.vectors, segment.vectors)


@few
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 60),
    dim=st.integers(1, 8),
    k=st.integers(1, 70),
    data=st.data(),
)
def test_search_equals_a_full_sort(
    seed: int, rows: int, dim: int, k: int, data: st.DataObject
) -> None:
    ids = np.random.default_rng(seed).permutation(10 * rows)[:rows].astype(np.int64)
    excluded = np.array(data.draw(st.lists(st.sampled_from(ids.tolist()), unique=True)), np.int64)
    vectors, queries = _half(seed, rows, dim), _half(seed + 1, 3, dim).astype(np.float32)
    index = MutableFlatIndex(dim)
    index.add(ids, vectors)
    scores = queries @ vectors.astype(np.float32).T  # exact: small multiples of 1/16
    for query, hits in enumerate(index.search(queries, k, excluded=excluded)):
        order = [at for at in np.lexsort((ids, -scores[query])) if ids[at] not in excluded][:k]
        assert [hit.id for hit in hits] == ids[order].tolist()
        assert [hit.score for hit in hits] == scores[query, order].tolist()


@few
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 40),
    dim=st.integers(1, 20),
    alpha=st.sampled_from([0.0, 0.25, 0.5, 2.0]),
)
def test_one_more_dimension_subtracts_the_hubness(
    seed: int, rows: int, dim: int, alpha: float
) -> None:
    vectors, queries = _half(seed, rows, dim), _half(seed + 1, 3, dim).astype(np.float32)
    hubs = _half(seed + 2, rows, 1)  # (rows, 1)
    index = MutableFlatIndex(dim + 1)
    index.add(np.arange(rows), np.concatenate([vectors, hubs], axis=1))
    # exact: small multiples of 1/16; at alpha 0 these are the plain products
    scores = queries @ vectors.astype(np.float32).T - alpha * hubs[:, 0].astype(np.float32)
    for query, hits in enumerate(index.search(with_alpha(queries, alpha), rows)):
        order = np.argsort(-scores[query], kind="stable")
        assert [hit.id for hit in hits] == order.tolist()
        assert [hit.score for hit in hits] == scores[query, order].tolist()


def _answers(library: Library) -> list[tuple[str, float]]:
    """All photos with their scores for a query, by name."""
    (hits,) = library.search(ENCODER.encode_texts(["red green"]), Kind.PHOTO, 1_000)
    records = library.records([hit.id for hit in hits])
    pairs = [(record.path.name, hit.score) for record, hit in zip(records, hits, strict=True)]
    return sorted(pairs)


colours = st.lists(st.sampled_from(sorted(COLOURS)), min_size=1, max_size=3)


@fewer
@given(
    photos=st.lists(colours, min_size=1, max_size=8),
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=3),
)
def test_batches_change_nothing_and_a_second_run_is_none(
    photos: list[Sequence[str]], sizes: list[int]
) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        for number, stripes in enumerate(photos):
            draw(folder / "photos" / f"{number}.png", *stripes)
        answers = []
        for number, size in enumerate(sizes):
            options = IndexOptions(batch_size=size, commit_every=size)
            with Library.create(folder / f"library-{number}", ENCODER) as library:
                index_folders(library, ENCODER, [folder / "photos"], options=options)
                answers.append(_answers(library))
                generation = library.catalog.facts().generation
                again = index_folders(library, ENCODER, [folder / "photos"], options=options)
                assert (again.unchanged, again.photos) == (len(photos), 0)
                assert library.catalog.facts().generation == generation
                assert _answers(library) == answers[0]
        assert answers == [answers[0]] * len(sizes)
    finally:
        shutil.rmtree(folder)

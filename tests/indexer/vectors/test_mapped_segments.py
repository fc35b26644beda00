"""Rows of segments, read one by one from the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from indexer.core.errors import LibraryDamaged
from indexer.core.types import Kind, SegmentRow
from indexer.vectors.segments import Segment, SegmentStore, SegmentVectors, mapped


def _stored(folder: Path, *all_ids: list[int]) -> tuple[SegmentStore, list[SegmentRow]]:
    """Segments of these ids; a vector is its id, and half of it."""
    store = SegmentStore(folder / "vectors", 2)
    segments = [
        Segment(
            kind=Kind.PHOTO,
            ids=np.array(ids, dtype=np.int64),
            vectors=np.array([[id_, id_ / 2] for id_ in ids], dtype=np.float16),
        )
        for ids in all_ids
    ]
    return store, store.write(segments, 1)


def test_rows_come_by_id_whatever_their_segment(tmp_path: Path) -> None:
    store, named = _stored(tmp_path, [2, 5, 9], [1, 3], [12])
    rows = SegmentVectors([mapped(store.path(row.number), row, 2) for row in named], 2)
    assert rows.ids.tolist() == [2, 5, 9, 1, 3, 12]
    wanted = [12, 1, 9, 9, 2]
    assert rows.fetch(np.array(wanted)).tolist() == [[id_, id_ / 2] for id_ in wanted]
    assert rows.fetch(np.array([], dtype=np.int64)).shape == (0, 2)
    with pytest.raises(KeyError, match=r"no segment holds the ids \[4, 99\]"):
        rows.fetch(np.array([2, 4, 99]))


def test_no_segments_hold_no_ids() -> None:
    rows = SegmentVectors([], 2)
    assert rows.ids.tolist() == []
    with pytest.raises(KeyError):
        rows.fetch(np.array([1]))


def test_a_file_that_is_not_what_the_catalog_says_is_refused(tmp_path: Path) -> None:
    store, (row,) = _stored(tmp_path, [2, 5, 9])
    path = store.path(1)
    with pytest.raises(LibraryDamaged, match="does not hold 3 photo vectors of length 7"):
        mapped(path, row, 7)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(LibraryDamaged, match="is broken"):
        mapped(path, row, 2)
    save_file({"ids": np.arange(3), "vectors": np.zeros((3, 2), np.float32)}, path)
    with pytest.raises(LibraryDamaged, match="its numbers are of another type"):
        mapped(path, row, 2)
    path.unlink()
    with pytest.raises(LibraryDamaged, match="is missing"):
        mapped(path, row, 2)

"""Segments are written once and come back as they were; several become one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from indexer.core.atomic_io import replacing
from indexer.core.errors import TwinlensError
from indexer.core.types import Kind, SegmentRow
from indexer.vectors.segments import Segment, SegmentStore

NONE = np.empty(0, dtype=np.int64)


def _segment(*ids: int, kind: Kind = Kind.PHOTO) -> Segment:
    """A segment whose vectors say their ids."""
    vectors = np.array([[id_, -id_] for id_ in ids], dtype=np.float16)
    return Segment(kind=kind, ids=np.array(ids, dtype=np.int64), vectors=vectors)


def test_a_segment_is_a_plain_safetensors_file(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path / "vectors", 2)
    rows = store.write([_segment(4, 6), _segment(9, kind=Kind.TEXT)], 12)
    assert rows == [
        SegmentRow(number=12, kind=Kind.PHOTO, rows=2),
        SegmentRow(number=13, kind=Kind.TEXT, rows=1),
    ]
    names = sorted(path.name for path in (tmp_path / "vectors").iterdir())
    assert names == ["000012.safetensors", "000013.safetensors"]
    tensors = load_file(tmp_path / "vectors" / "000012.safetensors")
    assert tensors["ids"].tolist() == [4, 6]
    assert (tensors["vectors"].dtype, tensors["vectors"].tolist()) == (
        np.float16,
        [[4, -4], [6, -6]],
    )


def test_joined_segments_are_sorted_and_lack_what_was_deleted(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, 2)
    rows = store.write([_segment(5, 6), _segment(1, 2), _segment(9)], 1)
    (joined,) = store.joined(rows, without=np.array([2, 9]))
    assert joined.ids.tolist() == [1, 5, 6]
    assert joined.vectors.tolist() == [[1, -1], [5, -5], [6, -6]]
    assert list(store.joined(rows, without=np.arange(10))) == []


def test_joining_stops_at_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.vectors.segments.MERGED_ROWS", 3)
    store = SegmentStore(tmp_path, 2)
    rows = store.write([_segment(1, 2), _segment(3, 4), _segment(5)], 1)
    joined = [segment.ids.tolist() for segment in store.joined(rows, without=NONE)]
    assert joined == [[1, 2, 3, 4], [5]]


def test_sweep_leaves_what_is_named(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, 2)
    store.write([_segment(1), _segment(2)], 1)
    (tmp_path / "000003.safetensors.part").write_bytes(b"half")
    store.sweep({2})
    assert [path.name for path in tmp_path.iterdir()] == ["000002.safetensors"]


def _write(path: Path, text: str, *, fail: bool = False) -> None:
    with replacing(path) as part:
        part.write_text(text)
        if fail:
            raise KeyError


def test_replacing_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(KeyError):
        _write(path, "half", fail=True)
    assert path.read_text() == "old"
    _write(path, "new")
    assert path.read_text() == "new"


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(TwinlensError, match=r"cannot write .*gone/a: No such file or directory"):
        _write(tmp_path / "gone" / "a", "x")

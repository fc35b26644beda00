"""Tokens kept by id: what comes back, and what a reranker has to compute anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.core.encoder import Tokens, TokenShape
from indexer.core.errors import TwinlensError
from indexer.vectors.patch_tokens import TOKENS, PatchTokenCache

SHAPE = TokenShape(tokens=3, width=4)


def drawn(photos: int, seed: int = 0) -> Tokens:
    return np.random.default_rng(seed).normal(size=(photos, 3, 4)).astype(np.float32)


def test_tokens_come_back_to_half_a_step_of_their_scale(tmp_path: Path) -> None:
    tokens = drawn(2)
    PatchTokenCache(tmp_path).write([7, 3], tokens)
    back = PatchTokenCache(tmp_path).read([3, 7], SHAPE)
    for found, kept in zip(back, tokens[::-1], strict=True):
        step = np.abs(kept).max(axis=1, keepdims=True) / 127
        assert found is not None
        assert (np.abs(found - kept) <= 0.51 * step + 1e-3).all()


def test_an_id_without_tokens_has_none(tmp_path: Path) -> None:
    store = PatchTokenCache(tmp_path)
    assert store.read([1], SHAPE) == [None]  # no file yet
    store.write([5], drawn(1))
    hole, beyond = store.read([2, 6], SHAPE)
    assert (hole, beyond) == (None, None)


def test_a_record_cut_off_is_none(tmp_path: Path) -> None:
    PatchTokenCache(tmp_path).write([1, 2], drawn(2))
    path = tmp_path / TOKENS
    path.write_bytes(path.read_bytes()[:-1])
    first, second = PatchTokenCache(tmp_path).read([1, 2], SHAPE)
    assert first is not None
    assert second is None


def test_the_file_takes_what_its_header_says(tmp_path: Path) -> None:
    PatchTokenCache(tmp_path).write([4], drawn(1))
    assert (tmp_path / TOKENS).stat().st_size == 64 + 5 * (3 * (2 + 4) + 4)


def test_another_shape_is_begun_anew(tmp_path: Path) -> None:
    store, other = PatchTokenCache(tmp_path), TokenShape(tokens=2, width=4)
    store.write([1], drawn(1))
    assert store.read([1], other) == [None]
    store.write([1], drawn(1)[:, :2])
    assert store.shape() == other
    assert store.read([1], SHAPE) == [None]


def test_what_is_no_file_of_ours_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / TOKENS).write_bytes(b"something else " * 9)
    store = PatchTokenCache(tmp_path)
    assert store.shape() is None
    store.write([1], drawn(1))
    assert store.shape() == SHAPE


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(TwinlensError, match=r"cannot write .*tokens\.bin"):
        PatchTokenCache(tmp_path / "missing").write([1], drawn(1))

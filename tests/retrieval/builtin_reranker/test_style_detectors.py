"""Looks of photos: how they are named, against the formula, and back from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrieval.builtin_reranker.style_detectors import (
    LOOKS,
    StyleDetectors,
    load_looks,
    no_looks,
    save_looks,
)
from retrieval.errors import ModelUnavailable

WIDTH = 12


def drawn() -> StyleDetectors:
    rng = np.random.default_rng(5)
    return StyleDetectors(
        names=(("black and white", "monochrome"), ("dark",)),
        weights=rng.normal(size=(2, 4 * WIDTH)).astype(np.float32),
        bias=rng.normal(size=2).astype(np.float32),
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("black and white", 0),
        ("Black white", 0),
        ("monochrome", 0),
        ("dark", 1),
        ("a black and white dog", None),
        ("white", None),
        ("", None),
    ],
)
def test_a_look_is_named_by_its_words_and_no_others(text: str, place: int | None) -> None:
    assert drawn().named(text) == place
    assert no_looks().named(text) is None


def test_odds_are_linear_in_what_is_looked_at() -> None:
    mine = drawn()
    tokens = np.random.default_rng(0).normal(size=(3, 5, WIDTH)).astype(np.float32)
    odds = mine.odds([1, 0], tokens)
    for photo, patches in enumerate(tokens[:, 1:]):
        parts = [tokens[photo, 0], patches.mean(0), patches.max(0), patches.std(0)]
        seen = np.concatenate(parts).astype(np.float64)
        wanted = [float(mine.weights[look] @ seen + mine.bias[look]) for look in (1, 0)]
        assert odds[:, photo] == pytest.approx(wanted, rel=1e-4)


def test_they_come_back_from_disk_the_same_bytes_each_time(tmp_path: Path) -> None:
    mine = drawn()
    save_looks(mine, tmp_path)
    first = (tmp_path / LOOKS).read_bytes()
    back = load_looks(tmp_path)
    assert back.names == mine.names
    assert np.array_equal(back.weights, mine.weights)
    assert np.array_equal(back.bias, mine.bias)
    save_looks(back, tmp_path)
    assert (tmp_path / LOOKS).read_bytes() == first


def test_without_a_file_there_are_none_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    assert load_looks(tmp_path).names == ()
    (tmp_path / LOOKS).write_bytes(b"no tensors")
    with pytest.raises(ModelUnavailable, match=LOOKS):
        load_looks(tmp_path)

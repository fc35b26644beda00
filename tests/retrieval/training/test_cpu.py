"""Which numbers a CPU computes with quickly, and what a run says where they are slow."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from retrieval._enums import Precision
from retrieval.training import cpu
from retrieval.training.cpu import advice
from retrieval.training.loop import train
from retrieval.training.observer import TrainObserver
from tests.retrieval.training.runs import config
from tests.tiny import tiny_model


@pytest.mark.parametrize(
    ("knows", "precision", "device", "told"),
    [
        (False, Precision.BF16, "cpu", True),
        (True, Precision.BF16, "cpu", False),
        (False, Precision.FP32, "cpu", False),
        (False, Precision.BF16, "cuda", False),
    ],
)
def test_bfloat16_is_advised_against_where_it_is_slow(
    monkeypatch: pytest.MonkeyPatch, knows: bool, precision: Precision, device: str, told: bool
) -> None:
    monkeypatch.setattr(cpu, "knows_bfloat16", lambda: knows)
    assert (advice(precision, torch.device(device)) is not None) == told


def test_a_run_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cpu, "knows_bfloat16", lambda: False)
    tiny_model(tmp_path / "start")
    notes: list[str] = []
    train(
        config(tmp_path / "start", precision=Precision.BF16, epochs=1),
        TrainObserver(note=notes.append),
    )
    assert any("--precision fp32" in note for note in notes)

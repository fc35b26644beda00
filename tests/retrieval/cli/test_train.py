"""What `twinlens train` and `twinlens blend` print and refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tiny import tiny_model

if TYPE_CHECKING:
    from tests.retrieval.cli.conftest import Run


def test_blend_mixes_in_the_order_of_the_models(run: Run, tmp_path: Path) -> None:
    for seed in range(3):
        tiny_model(tmp_path / f"{seed}", seed)
    models = [tmp_path / f"{seed}" for seed in range(3)]

    def shares(*args: object) -> list[float]:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        result = run("blend", *args, "--out", out)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.startswith(f"wrote {out} = ")
        record = json.loads((out / "train.json").read_text(encoding="utf-8"))
        return [part["share"] for part in record["blend"]]

    assert shares(*models[:2], "--weight", 0.6) == [0.6, 0.4]
    assert shares(*models[:2], "--weight", 0, "--weight", 1) == [0.0, 1.0]
    assert shares(*models) == [1 / 3] * 3
    assert shares(*models, "--weight", 0.5, "--weight", 0.25, "--storage", "int8") == [
        0.5, 0.25, 0.25,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["a"], "two models or more"),
        (["a", "b", "c", "--weight", "0.5"], "3 models need 2 or 3 --weight, not 1"),
        (["0", "1", "--weight", "1.5"], "add up to 1, not 1.5, -0.5"),
    ],
)
def test_blend_refuses_shares_that_are_none(
    run: Run, tmp_path: Path, args: list[str], message: str
) -> None:
    for seed in range(2):
        tiny_model(tmp_path / f"{seed}", seed)
    named = [str(tmp_path / arg) if arg in "01" else arg for arg in args]
    result = run("blend", *named, "--out", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_train_refuses_patience_without_pairs_to_count_on(run: Run, tmp_path: Path) -> None:
    result = run("train", "--pairs", "x.jsonl", "--out", tmp_path / "out", "--patience", 3)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "name them with --val" in result.stderr

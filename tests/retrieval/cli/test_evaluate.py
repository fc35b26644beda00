"""What `twinlens evaluate` prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.retrieval.cli.conftest import Run


def test_evaluate_for_people_and_programs(run: Run, photos: Path) -> None:
    rows = [{"image": f"{name}.png", "captions": [name]} for name in ("red", "blue")]
    data = photos / "pairs.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    plain = json.loads(run("evaluate", "--data", data, "--json").stdout)
    assert (plain["images"], plain["text_to_image"]["R@1"]) == (2, 100.0)
    shown = run("evaluate", "--data", data)
    assert shown.exit_code == 0
    assert "the top 10 of 2 photos" in shown.stderr
    assert "builtin: 2 photos, 2 captions" in shown.stdout
    assert "100.0 %  100.0 to 100.0" in shown.stdout


@pytest.mark.usefixtures("with_banks")
def test_evaluate_shows_both_ways(photos: Path, run: Run) -> None:
    data = photos / "pairs.jsonl"
    data.write_text('{"image": "red.png", "captions": ["red"]}\n', encoding="utf-8")
    names = [line.split("  ")[0] for line in run("evaluate", "--data", data).stdout.splitlines()]
    assert {"R@1", "R@1 by cosine", "median rank", "median rank by cosine"} <= set(names)
    plain = run("evaluate", "--data", data, "--no-hubness").stdout
    assert "by cosine" not in plain
    found = json.loads(run("evaluate", "--data", data, "--json", "--no-hubness").stdout)
    assert found["hubness"] is None
    assert found["without_hubness"]["text_to_image"] == found["text_to_image"]


def test_evaluate_lists_what_it_left_out(run: Run, photos: Path) -> None:
    rows = [{"image": f"{name}.png", "captions": [name]} for name in ("red", "gone")]
    data = photos / "pairs.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    result = run("evaluate", "--data", data)
    assert result.exit_code == 3
    assert "skipping" in result.stderr
    assert "gone.png" in result.stderr


def test_evaluate_compares_two_models(run: Run, photos: Path, loaded: list[str]) -> None:
    rows = [{"image": f"{name}.png", "captions": [name]} for name in ("red", "blue", "gone")]
    data = photos / "pairs.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    shown = run("evaluate", "--data", data, "--compare", "mine", "yours")
    assert loaded == ["mine", "yours"]
    assert shown.exit_code == 3
    assert shown.stderr.count("gone.png") == 1
    assert "A mine, B yours: 2 photos, 2 captions" in shown.stdout
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["R@1", "100.0", "100.0", "+0.0", "+0.0", "to", "+0.0", "1.0000"] in rows
    assert ["median", "rank", "1", "1"] in rows
    assert [
        "sum",
        "of",
        "all",
        "R@k",
        "600.0",
        "600.0",
        "+0.0",
        "+0.0",
        "to",
        "+0.0",
        "1.0000",
    ] in (rows)
    plain = json.loads(
        run("evaluate", "--data", data, "--compare", "mine", "yours", "--json").stdout
    )
    assert plain["first"]["model"] == "mine"
    assert plain["differences"]["image_to_text"]["recall@5"]["p"] == 1.0


def test_evaluate_compares_two_models_and_no_third(run: Run, photos: Path) -> None:
    (photos / "x.jsonl").write_text('{"image": "red.png", "caption": "red"}', encoding="utf-8")
    data = ("--data", photos / "x.jsonl")
    result = run("evaluate", *data, "--model", "a", "--compare", "b", "c")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "leave out --model" in result.stderr

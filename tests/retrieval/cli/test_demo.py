"""The tour, with an encoder for colours in place of the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from retrieval._resources import resource
from retrieval.cli.commands import demo

if TYPE_CHECKING:
    from tests.retrieval.cli.conftest import Run


def test_every_listed_photo_is_in_the_wheels_and_has_a_licence() -> None:
    lines = (resource("demo") / "photos.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(demo._photos()) == len(rows)
    for row in rows:
        assert all(row[key] for key in ("package", "file", "shows", "licence", "source"))


def test_the_tour_leaves_a_contact_sheet(run: Run, tmp_path: Path) -> None:
    result = run("demo", "--out", tmp_path / "tour")
    assert result.exit_code == 0
    assert result.stdout.count(" → photos\n") == 4
    assert result.stdout.count(" → texts\n") == 1
    sheet = tmp_path / "tour" / "contact-sheet.html"
    assert result.stdout.endswith(f"The same with pictures: {sheet}\n")
    page = sheet.read_text(encoding="utf-8")
    assert "21 photos and 40 texts, model builtin" in page
    assert page.count("<img") == 4 * 5 + 2  # four rows of photos, two photos that ask


def test_without_the_photos_it_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda _package: None)
    result = run("demo")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "pip install 'twinlens[demo]'" in result.stderr

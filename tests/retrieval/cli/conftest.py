"""The command line in this process, with an encoder for colours in place of the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner, Result

from indexer.core.types import Kind
from retrieval.cli import main
from tests.fakes import ColourEncoder

Run: TypeAlias = Callable[..., Result]

LOADERS = (
    "retrieval.models.registry.load_encoder",
    "retrieval.runtime.select_encoder.quick_encoder",
)
"""What gives a command its model."""


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The specs of the models that were loaded; each is a `ColourEncoder` of that name."""
    specs: list[str] = []

    def load(spec: str = "builtin", device: str = "auto", **_: object) -> ColourEncoder:
        specs.append(spec)
        return ColourEncoder(name=spec, fingerprint=f"fingerprint of {spec}")

    for name in LOADERS:
        monkeypatch.setattr(name, load)
    return specs


@pytest.fixture
def with_banks(monkeypatch: pytest.MonkeyPatch, loaded: list[str]) -> None:
    """Every model has generic words and photos: red ones."""
    encoder = ColourEncoder(generic={kind: ["red"] for kind in Kind})
    for name in LOADERS:
        monkeypatch.setattr(name, lambda *_, **__: encoder)


@pytest.fixture
def run(tmp_path: Path, loaded: list[str]) -> Run:
    """Run a command over a library in `tmp_path`."""
    environment = {"TWINLENS_LIBRARY": str(tmp_path / "library"), "COLUMNS": "80"}

    def invoke(*args: object) -> Result:
        return CliRunner(env=environment).invoke(main, [str(arg) for arg in args])

    return invoke


@pytest.fixture
def indexed(run: Run, photos: Path) -> Path:
    """The photos, once they are in the library."""
    assert run("index", photos).exit_code == 0
    return photos

"""The wheel carries all it needs: built, unpacked elsewhere, run away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = "import sys; from retrieval.cli import main; sys.argv[0] = 'twinlens'; main()"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the build backend of this Python."""
    if find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed, and fetching it takes a network")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def test_it_carries_every_module_and_data_file(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    for package in ("indexer", "retrieval"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert path.relative_to(ROOT).as_posix() in inside
        assert f"{package}/py.typed" in inside
    for path in (ROOT / "data").rglob("*"):
        if path.is_file():
            assert f"retrieval/{path.relative_to(ROOT).as_posix()}" in inside


def test_it_runs_elsewhere(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--disable-pip-version-check", "--target", str(target), str(wheel)],
        check=True, capture_output=True,
    )  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(target), "TWINLENS_LIBRARY": str(tmp_path / "l")}

    def run(code: str, *args: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", code, *args],
            cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    files = run("import retrieval, indexer; print(retrieval.__file__, indexer.__file__, sep='\\n')")
    assert all(file.startswith(str(target)) for file in files)
    assert len(run(RUN, "--version")) == 1
    shown = run(RUN, "demo", "--out", "tour")
    assert any('"a cat" → photos' in line for line in shown)
    assert "chelsea.png" in shown[2]
    sheet = tmp_path / "tour" / "contact-sheet.html"
    assert shown[-1].endswith(str(Path("tour") / sheet.name))
    assert sheet.read_text(encoding="utf-8").count("<img") == 5 * 5 + 2

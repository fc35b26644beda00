"""The installed command where PyTorch, and all that only the extra `torch` brings, is missing."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from retrieval._extras import has_torch, require_torch
from retrieval.errors import ExtraMissing
from tests.e2e.conftest import command

if TYPE_CHECKING:
    from tests.e2e.conftest import Twinlens

MISSING = (
    *("accelerate", "matplotlib", "open_clip", "peft", "timm", "torch"),
    *("torchmetrics", "torchvision", "transformers"),
)

BLOCKER = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {MISSING!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment of a fresh installation: nothing was prepared, and torch cannot be imported.

    Python imports `sitecustomize` before anything else.
    """
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BLOCKER, encoding="utf-8")
    paths = [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "TWINLENS_LIBRARY": str(tmp_path / "library"),
        "TWINLENS_CACHE": str(tmp_path / "cache"),
    }


@pytest.fixture
def done(twinlens: Twinlens) -> object:
    """Run a command that shall succeed, and return what it prints."""

    def run(*args: object) -> str:
        ran = twinlens(*args)
        assert ran.returncode == 0, (args, ran.stderr)
        return ran.stdout

    return run


def test_torch_is_missing_here(environment: dict[str, str]) -> None:
    python = Path(command()).read_text(encoding="utf-8").splitlines()[0].removeprefix("#!")
    for module in ("torch", "open_clip", "timm", "torchvision"):
        ran = subprocess.run([python, "-c", f"import {module}"], env=environment, check=False)
        assert ran.returncode == 1


def test_a_journey(done: object, photos: Path, tmp_path: Path) -> None:
    assert callable(done)
    assert done("index", photos).startswith("5 photos added, 4 texts added")
    hits = [json.loads(line) for line in done("search", "a cat", "--json").splitlines()]
    assert hits[0]["path"] == str(photos / "chelsea.png")
    assert done("search", photos / "coffee.png", "--for", "texts", "-f")
    told = done("search", "a photo", "--instruct", "only photos with a cup", "-f", "--threshold", 0)
    assert told.splitlines()[0] == str(photos / "coffee.png")
    done("search", "a photo", "--instruct", "no cats", "--rerank", "--html", tmp_path / "s.html")
    done("export", "a cat", "--to", tmp_path / "found")
    assert (tmp_path / "found" / "chelsea.png").exists()
    (photos / "again.png").write_bytes((photos / "chelsea.png").read_bytes())
    done("index", photos)
    assert "again.png" in done("duplicates")
    assert done("check").strip() == "the library is intact"
    done("tune")
    done("reindex")
    assert json.loads(done("info", "--json"))["model"] == "builtin"
    (photos / "again.png").unlink()
    done("index", photos)
    done("forget", photos)


def test_evaluating_the_builtin_model(done: object, photos: Path, tmp_path: Path) -> None:
    assert callable(done)
    rows = [
        {"image": "chelsea.png", "captions": ["a cat"]},
        {"image": "coffee.png", "captions": ["a cup of coffee"]},
    ]
    data = photos / "pairs.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = json.loads(done("evaluate", "--data", data, "--rerank", "--json"))
    assert found["text_to_image"]["R@1"] == 100.0


def test_the_demo(done: object, tmp_path: Path) -> None:
    assert callable(done)
    printed = done("demo", "--out", tmp_path / "tour")
    assert printed.rstrip().endswith(str(tmp_path / "tour" / "contact-sheet.html"))
    assert (tmp_path / "tour" / "contact-sheet.html").read_text(encoding="utf-8").count("<img") > 20


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("train", "--pairs", "p.jsonl", "--out", "run"), "`twinlens train`"),
        (
            ("train-reranker", "--pairs", "p", "--val", "p", "--out", "run"),
            "`twinlens train-reranker`",
        ),
        (("blend", "builtin", "builtin", "--out", "run"), "`twinlens blend`"),
        (("index", ".", "--model", "ViT-B-32/openai"), "the model 'ViT-B-32/openai'"),
        (("index", ".", "--device", "cuda"), "running the model 'builtin' in torch"),
        (
            ("evaluate", "--data", "photos", "--model", "hf-hub:org/name"),
            "the model 'hf-hub:org/name'",
        ),
    ],
)
def test_what_needs_torch_says_so_in_one_line(
    twinlens: Twinlens, photos: Path, args: tuple[str, ...], what: str
) -> None:
    (photos / "pairs.jsonl").write_text('{"image": "coffee.png", "captions": ["a cup"]}')
    args = tuple("photos/pairs.jsonl" if arg == "photos" else arg for arg in args)
    ran = twinlens(*args)
    assert (ran.returncode, ran.stdout) == (1, "")
    last = ran.stderr.splitlines()[-1]
    assert last == (
        f"twinlens: {what} needs PyTorch; install it with: pip install 'twinlens[torch]'"
    )


def test_a_name_is_learned(done: object, photos: Path) -> None:
    assert callable(done)
    done("index", photos)
    told = done("learn", "Tabby", photos / "chelsea.png", "--like", "cat")
    assert told.startswith("learned 'Tabby', like 'cat', from 1 photo in ")
    hits = [json.loads(line) for line in done("search", "Tabby", "--json").splitlines()]
    assert hits[0]["path"] == str(photos / "chelsea.png")


def test_a_large_reranker_needs_torch(twinlens: Twinlens, photos: Path) -> None:
    assert twinlens("index", photos).returncode == 0
    ran = twinlens("search", "a cat", "--reranker", "Qwen/Qwen3-VL-Reranker-2B")
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith(
        "twinlens: the reranker 'Qwen/Qwen3-VL-Reranker-2B' needs PyTorch"
    )


def test_where_torch_is_installed_nothing_is_refused() -> None:
    require_torch("this")
    assert has_torch()


def test_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval._extras.has_torch", lambda: False)
    with pytest.raises(ExtraMissing, match=r"^this needs PyTorch; install it with: pip install"):
        require_torch("this")

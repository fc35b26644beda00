"""The page about Python is true: its blocks run, and examples use public names alone."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage

import retrieval
from retrieval import PhotoLibrary, SearchResults, filters

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "python.md"
PAGES = ("README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
MARKED = re.compile(r"<!-- run in order -->\n```python\n(.*?)```", re.DOTALL)
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_its_blocks_run_one_after_the_other(tmp_path: Path) -> None:
    data = Path(skimage.__file__).parent / "data"
    (tmp_path / "photos").mkdir()
    for name, source in (("cat.png", "chelsea.png"), ("coffee.png", "coffee.png")):
        shutil.copy(data / source, tmp_path / "photos" / name)
    (tmp_path / "photos" / "captions.txt").write_text("A tabby cat.\n", encoding="utf-8")
    code = "\n".join(MARKED.findall(PAGE.read_text(encoding="utf-8")))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_examples_use_public_names_alone(page: str) -> None:
    for code in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        assert set(_names(ast.parse(code))) <= set(retrieval.__all__), code


def _names(tree: ast.AST) -> Iterator[str]:
    """Yield the names that an example takes from our packages."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("retrieval"):
            inside = f"{node.module}.".removeprefix("retrieval.")
            yield from (inside + each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            assert not (module or "").startswith("indexer")
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "retrieval":
            yield node.attr


def test_every_method_filter_and_field_is_written_down() -> None:
    written = PAGE.read_text(encoding="utf-8")
    methods = {name for name in vars(PhotoLibrary) if not name.startswith("_")}
    found = {name for name in methods if re.search(rf"\b{name}\(", written)}
    assert methods == found
    made = {name for name, value in vars(filters).items() if callable(value) and name[0] != "_"}
    ours = {name for name in made if vars(filters)[name].__module__ == "retrieval.filters"}
    for name in ours - {"FilterExpression", "expression", "narrowed", "pairs_of"}:
        assert f"`{name}`" in written
    for name in SearchResults.__dataclass_fields__:
        if name not in {"found", "left_out", "by_date", "notes", "doubts"}:
            assert f"`{name}`" in written

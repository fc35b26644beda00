"""README and docs are true: all commands and exit codes are named, and marked blocks run.

A block runs if the line above it is `<!-- run -->`. It runs in a folder that holds `photos/`
(real photos, `photos/cat.png` among them) and `pairs.jsonl`. In a console block the lines that
begin with `$ ` are run, each must end with code 0, and what it prints is not compared.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import skimage
from click.testing import CliRunner

import retrieval
from indexer.core import errors as indexer_errors
from indexer.core.errors import TwinlensError
from retrieval import errors as retrieval_errors
from retrieval.cli import main
from retrieval.cli.app import COMMANDS
from retrieval.cli.exit_codes import ExitCode

README = Path(__file__).resolve().parents[2] / "README.md"
GUIDES = [README.parent / "ARCHITECTURE.md", README.parent / "CONTRIBUTING.md"]
PAGES = [README, *sorted((README.parent / "docs").glob("*.md"))]
MARKED = re.compile(r"<!-- run -->\n```(python|console)\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A code block of README or docs that says it runs."""

    language: str
    code: str


def marked_blocks() -> list[Block]:
    """The blocks that run, in their order."""
    found = [block for page in PAGES for block in MARKED.findall(page.read_text(encoding="utf-8"))]
    return [Block(language=language, code=code) for language, code in found]


def all_codes() -> set[int]:
    """Every exit code: of the command line, and of each class in the error tree."""
    classes = [*vars(indexer_errors).values(), *vars(retrieval_errors).values()]
    raised = {
        each.exit_code
        for each in classes
        if isinstance(each, type) and issubclass(each, TwinlensError)
    }
    return raised | {int(code) for code in ExitCode}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_shown(command: str) -> None:
    written = README.read_text(encoding="utf-8")
    assert re.search(rf"twinlens {command}(?![\w-])", written)  # "train-reranker" shows no "train"


@pytest.mark.parametrize("page", ["README.md", "docs/output.md"])
def test_every_exit_code_is_listed_and_no_other(page: str) -> None:
    written = (README.parent / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `?(\d+)`? +\|", written, re.MULTILINE)
    assert sorted(map(int, rows)) == sorted(all_codes())


def test_some_blocks_are_marked() -> None:
    assert {block.language for block in marked_blocks()} == {"python", "console"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as README and docs have it."""
    data = Path(skimage.__file__).parent / "data"
    (tmp_path / "photos").mkdir()
    for name, source in (("cat.png", "chelsea.png"), ("coffee.png", "coffee.png")):
        shutil.copy(data / source, tmp_path / "photos" / name)
    (tmp_path / "photos" / "captions.txt").write_text("A tabby cat.\nA cup.\n", encoding="utf-8")
    rows = [
        {"image": f"photos/{name}.png", "captions": [f"a {name}"]} for name in ("cat", "coffee")
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return tmp_path


def test_every_link_leads_to_a_page_and_a_heading() -> None:
    for page in [*PAGES, *GUIDES]:
        for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
            path, _, heading = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), f"{page.name}: {link}"
            if heading:
                assert heading in headings(target), f"{page.name}: {link}"


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_index_of_docs_lists_every_page() -> None:
    written = (README.parent / "docs" / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", written))
    assert listed == {page.name for page in PAGES if page.name != "README.md"}


def test_the_marked_blocks_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TWINLENS_LIBRARY", str(folder / "library"))
    for block in marked_blocks():
        if block.language == "python":
            exec(compile(block.code, "<block>", "exec"), {"__name__": "__main__"})
        for line in re.findall(r"^\$ (.+)$", block.code, re.MULTILINE):
            program, *args = shlex.split(line)
            assert program == "twinlens", line
            done = CliRunner().invoke(main, args)
            assert done.exit_code == 0, f"{line}\n{done.output}"


def test_the_names_in_the_python_pages_are_public() -> None:
    imports = [
        re.findall(r"^from retrieval import (.+)$", read(page), re.MULTILINE) for page in PAGES
    ]
    named = {name for lines in imports for line in lines for name in line.split(", ")}
    assert len(named) > 5
    assert {name.split(" as ")[0] for name in named} <= set(retrieval.__all__)


def read(page: Path) -> str:
    """The text of a page."""
    return page.read_text(encoding="utf-8")


def test_every_promise_names_tests_that_exist() -> None:
    tests = README.parent / "tests"
    written = (README.parent / "docs" / "safety.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests/)?[\w/]*\btest_\w+\.py|tests/[\w/]+/)(?:::(\w+))?`", written)
    assert len(named) > 30
    for file, function in named:
        found = [README.parent / file] if "/" in file else [*tests.rglob(file)]
        assert found, file
        assert found[0].exists(), file
        assert not function or f"def {function}(" in found[0].read_text(encoding="utf-8"), function

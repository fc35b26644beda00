"""Errors and their exit codes, the list of commands, and the version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import retrieval
from indexer.library.library import Library
from retrieval.cli import app

if TYPE_CHECKING:
    from tests.retrieval.cli.conftest import Run


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["search", ""], 2, "the query is empty"),
        (["search", "./gone.jpg"], 2, "no file at 'gone.jpg'"),
        (["search", "./\x1b[31m.jpg"], 2, "no file at '\\x1b[31m.jpg'"),
        (["search"], 2, "the query is empty"),
        (["search", "x", "--top", "-1"], 2, "--top"),
        (["search", "x", "--after", "soon"], 2, "'soon' is not a date"),
        (["search", "x", "--nonsense"], 2, "No such option"),
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["serch", "red"], 2, "No such command 'serch'; did you mean search?; see"),
        (["search", "x"], 10, "no library at"),
        (["info"], 10, "no library at"),
        (["evaluate", "--data", "gone.jsonl"], 2, "gone.jsonl"),
        (
            ["train-reranker", "--triples", "x", "--out", "y"],
            2,
            "needs --init; see 'twinlens train",
        ),
    ],
)
def test_an_error_is_one_line_on_stderr(run: Run, args: list[str], code: int, message: str) -> None:
    result = run(*args)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("twinlens: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.count("; see ") <= 1


def test_a_locked_library_gives_12(run: Run, indexed: Path, tmp_path: Path) -> None:
    with Library.open(tmp_path / "library") as library, library.writing():
        result = run("index", indexed, "--no-wait")
    assert (result.exit_code, result.stdout) == (12, "")


def test_a_damaged_library_gives_11(run: Run, indexed: Path, tmp_path: Path) -> None:
    (tmp_path / "library" / "catalog.sqlite").write_bytes(b"no database" * 100)
    result = run("search", "red")
    assert (result.exit_code, result.stdout) == (11, "")


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "twinlens: interrupted\n"),
        (BrokenPipeError(), 0, ""),
        (
            PermissionError(13, "Permission denied", "x"),
            1,
            "twinlens: Permission denied: 'x'; its owner can give you access with: "
            "chmod -R u+rwX 'x'\n",
        ),
        (ZeroDivisionError("oh"), 1, "unexpected ZeroDivisionError: oh; TWINLENS_DEBUG=1 shows"),
    ],
)
def test_what_nobody_planned_has_a_code_too(
    run: Run, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, line: str
) -> None:
    def fail(_query: str, *, filters: list[tuple[str, str]]) -> None:
        raise raised

    monkeypatch.setattr(retrieval, "parse_query", fail, raising=False)
    monkeypatch.setattr(app, "_drop_stdout", lambda: None)  # the test runner's has no number
    result = run("search", "x")
    assert result.exit_code == code
    assert line in result.stderr


def test_the_list_of_commands_says_whole_sentences(run: Run) -> None:
    _, _, commands = run("--help").stdout.partition("Commands:\n")
    lines = commands.partition("\n\n")[0].splitlines()
    assert len(lines) == len(app.COMMANDS)
    assert [line for line in lines if line.endswith("...")] == []


def test_no_command_shows_the_help(run: Run) -> None:
    assert run().stdout == run("--help").stdout


def test_version(run: Run) -> None:
    assert run("--version").stdout.startswith("twinlens ")

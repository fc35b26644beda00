"""The public names are true, lazy, and few lines are enough."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import retrieval
from retrieval import errors

HEAVY = {"torch", "faiss", "sqlalchemy", "open_clip", "transformers"}


def imported_by(code: str) -> set[str]:
    """The heavy packages that a fresh Python has taken in after running `code`."""
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    return HEAVY & set(done.stderr.split())


def test_every_public_name_is_there() -> None:
    assert list(retrieval.__all__) == sorted(retrieval.__all__)
    for name in retrieval.__all__:
        assert getattr(retrieval, name).__name__ in (name, f"retrieval.{name}")
    assert dir(retrieval) == sorted(retrieval.__all__)


def test_every_error_is_public() -> None:
    tree = [errors.TwinlensError]
    for error in tree:
        tree += error.__subclasses__()
    ours = {error.__name__ for error in tree if not error.__name__.startswith("_")}
    assert ours == set(errors.__all__)
    assert ours <= set(retrieval.__all__)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = retrieval.nonsense


@pytest.mark.parametrize("code", ["import retrieval", "from retrieval import filters, errors"])
def test_import_takes_in_nothing_heavy(code: str) -> None:
    assert imported_by(code) == set()


@pytest.mark.parametrize(
    "command", ["", "index", "search", "info", "evaluate", "train", "blend", "demo"]
)
def test_help_takes_in_nothing_heavy(command: str) -> None:
    run = (
        "from retrieval.cli import main\n"
        f"try: main([*{command!r}.split(), '--help'])\n"
        "except SystemExit as end: assert end.code == 0, end.code"
    )
    assert imported_by(run) == set()


def test_a_search_by_words_takes_in_no_torch_and_no_sqlalchemy(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A dog runs.\n")
    library = ["--library", str(tmp_path / "library")]
    for arguments, heavy in (
        (["index", str(tmp_path / "a.txt"), "--model", "builtin"], HEAVY),
        (["search", "a dog", "--for", "texts", "--threshold", "0"], {"faiss"}),
    ):
        run = (
            "from retrieval.cli import main\n"
            f"try: main({[*arguments, *library]})\n"
            "except SystemExit as end: assert end.code == 0, end.code"
        )
        assert imported_by(run) <= heavy

"""What is closed to us is told with what opens it, and files of other kinds are counted."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from indexer.core.errors import explained
from indexer.core.types import Skip
from retrieval.cli.app import _usage
from retrieval.cli.commands.index import passed_over
from retrieval.cli.console import list_skipped
from retrieval.concepts import Concepts


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.EACCES, "its owner can give you access with: chmod -R u+rwX '/x'"),
        (errno.EROFS, "choose a folder on another disk"),
        (errno.ENOSPC, "free some space there"),
    ],
)
def test_the_next_step_is_told(code: int, said: str) -> None:
    assert explained(OSError(code, "refused"), "/x") == f"refused; {said}"
    assert explained(OSError(errno.EIO, "refused"), "/x") == "refused"


def test_closed_folders_of_a_run_are_told_with_a_way_in(capsys: pytest.CaptureFixture) -> None:
    list_skipped([Skip(path=Path("/a"), reason="permission denied")] * 2)
    said = capsys.readouterr().err
    assert said.count("skipping /a: permission denied\n") == 2
    assert said.count("chmod -R u+rX PATH") == 1
    list_skipped([Skip(path=Path("/a"), reason="empty file")])
    assert "chmod" not in capsys.readouterr().err


def test_a_library_that_click_finds_closed() -> None:
    import click

    error = click.BadParameter("Directory '/x' is not readable.")
    assert _usage(error).endswith("its owner can give you access with: chmod -R u+rwX '/x'")


def test_a_name_is_not_learned_where_it_cannot_be_kept(as_a_user: Path) -> None:
    Concepts(as_a_user).check_writable()
    as_a_user.chmod(0o500)
    with pytest.raises(Exception, match=r"cannot write to .*: its owner can give you access"):
        Concepts(as_a_user).check_writable()


def test_files_passed_over_are_told_by_suffix() -> None:
    assert passed_over({}) == ""
    assert passed_over({".doc": 9, "": 2, ".zip": 1}) == (
        "ignored 12 files with unsupported suffixes: 9 .doc, 2 without a suffix, 1 .zip"
    )
    many = {f".{letter}": 1 for letter in "abcdefghijk"}
    assert passed_over(many).endswith("1 .h, 3 of other suffixes")

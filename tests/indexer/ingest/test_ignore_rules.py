"""Ignore files: git's own answers, no pattern that takes long, no file that is waited for."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from indexer.core.errors import FileUnreadable
from indexer.ingest.ignore_rules import IGNORE_FILE, MOST_WILD, IgnoreFile, IgnoreRules

LINES = ["a/**/b", "**/a", "a/**", "**/a/b", "/a", "a/", "*/b", "**/", "a/**/b/**/a", "[!a]*"]
LINES += ["[]a]", "[a-]", "[[:alpha:]]", "[[:x:]]", "[[:a]b]", "[a", "a\\ ", "a  ", "!", "a**b"]
LINES += ["*a*b", "?*", "\\", "[b-a]", "[^]]", "//", "/", "a//b", "***", "a/*", "[a\\]]", "#a"]


def _ignored_by_git(folder: Path, line: str, paths: list[str]) -> set[str]:
    """The paths that git leaves out for one line."""
    (folder / ".gitignore").write_text(line + "\n")
    command = ["git", "-C", str(folder), "check-ignore", "--no-index", "-z", "--stdin"]
    asked = "\0".join(paths) + "\0"
    told = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    assert told.returncode in (0, 1), told.stderr
    return set(told.stdout.split("\0")) - {""}


def _ignored(line: str, path: str) -> bool:
    """Whether the path, or a folder above it, is left out."""
    rules, parts = IgnoreFile.read([line]), path.split("/")
    above = ("/".join(parts[:count]) for count in range(1, len(parts)))
    return any(rules.covers(each, is_dir=True) for each in above) or bool(
        rules.covers(path, is_dir=False)
    )


def test_git_leaves_out_the_same(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    draw = random.Random(7)
    signs = "ab*?[]!^-\\*.: "
    lines = LINES + ["".join(draw.choices(signs, k=draw.randint(1, 9))) for _ in range(80)]
    lines += ["/".join(draw.choices(["a", "b", "*", "**", "a*", "?b"], k=3)) for _ in range(30)]
    names = {"".join(draw.choices("ab]-[", k=draw.randint(1, 3))) for _ in range(30)}
    paths = ["/".join(draw.choices(sorted(names), k=draw.randint(1, 4))) for _ in range(60)]
    paths += ["a", "b", "a/b", "a/x/b", "b/a", "a/b/a", "a/x/y/b", "ab", "a b", "x/a/b"]
    for line in lines:
        wanted = _ignored_by_git(tmp_path, line, paths)
        assert {path for path in paths if _ignored(line, path)} == wanted, line


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("*a" * 30 + "b", "a" * 255),
        ("*" * 4_000 + "b", "a" * 255),
        ("[a-z]*" * 600 + "9", "a" * 255),
        ("a/**/" * 800 + "b", "/".join("a" * 1_000)),
        ("**/*a*a*a/" * 300 + "b", "/".join(["a" * 50] * 60)),
    ],
)
def test_many_stars_take_no_time(line: str, path: str) -> None:
    started = time.monotonic()
    assert IgnoreFile.read([line]).covers(path, is_dir=False) is None
    assert time.monotonic() - started < 5  # a hundredth of a second, on a machine that is idle


def test_a_list_of_many_paths_is_looked_up() -> None:
    rules = IgnoreFile.read([f"/2019/{number}.jpg" for number in range(100_000)])
    started = time.monotonic()
    for number in range(10_000):
        assert rules.covers(f"2019/{number}.jpg", is_dir=False)
    assert time.monotonic() - started < 5


def test_the_last_line_that_speaks_decides() -> None:
    rules = IgnoreFile.read(["*.png", "!keep.png", "keep.png", "!k*.png", "/a/"])
    assert rules.covers("keep.png", is_dir=False) is False
    assert rules.covers("b/x.png", is_dir=False) is True
    assert rules.covers("a", is_dir=False) is None
    assert rules.covers("a", is_dir=True) is True


def test_lines_of_other_systems() -> None:
    text = "\ufeffa.jpg\r\nb\u2028c.jpg\r\n"
    rules = IgnoreFile.read(text.removeprefix("\ufeff").split("\n"))
    assert rules.covers("a.jpg", is_dir=False)
    assert rules.covers("b\u2028c.jpg", is_dir=False)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["a" * 5_000], "line 1 has more than 4,096 characters"),
        ([f"{number}*" for number in range(MOST_WILD + 1)], "more than 1,000 lines with wildcards"),
    ],
)
def test_what_says_too_much_is_refused(lines: list[str], reason: str) -> None:
    with pytest.raises(FileUnreadable, match=reason):
        IgnoreFile.read(lines)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("pipe", "not a regular file"),
        ("device", "not a regular file"),
        ("folder", "not a regular file"),
        ("large", "larger than 4 MB"),
    ],
)
def test_a_file_that_is_none_is_not_waited_for(tmp_path: Path, kind: str, reason: str) -> None:
    path = tmp_path / IGNORE_FILE
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.touch()
        os.truncate(path, 5_000_000)
    with pytest.raises(FileUnreadable, match=f"{reason}: its folder is skipped"):
        IgnoreRules().within(tmp_path)
    assert IgnoreRules.above(tmp_path / "photos") == IgnoreRules()

"""The commands that keep a library: check, forget, move-root, reindex, watch."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from indexer.core.types import Kind
from retrieval.cli.table import write_table
from retrieval.search import Hit
from tests.fakes import draw
from tests.retrieval.cli.test_two_writers import COMMAND, ROOT

if TYPE_CHECKING:
    from tests.retrieval.cli.conftest import Run


def test_check_names_and_repairs(run: Run, indexed: Path, tmp_path: Path) -> None:
    (segment,) = (tmp_path / "library" / "vectors").glob("000001*")
    segment.write_bytes(segment.read_bytes()[:-4])
    named = run("check", "--json")
    finding = json.loads(named.stdout.splitlines()[0])
    assert (named.exit_code, finding["path"], finding["grave"]) == (11, str(segment), True)
    mended = run("check", "--repair")
    assert mended.exit_code == 0
    assert f"{segment} is broken" in mended.stdout
    assert mended.stderr.endswith(
        "whose vectors were lost; embed them again with: twinlens index\n"
    )
    assert run("check").stdout == "the library is intact\n"
    assert "added" in run("index", indexed).stdout


def test_check_names_a_broken_name(run: Run, indexed: Path, tmp_path: Path) -> None:
    path = tmp_path / "library" / "concepts" / "rex-1.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"broken")
    result = run("check")
    assert result.exit_code == 11
    assert result.stdout.startswith(f"{path} is a broken concept")


def test_forget(run: Run, indexed: Path) -> None:
    result = run("forget", indexed / "red.png")
    assert (result.exit_code, result.stdout) == (0, "1 file forgotten\n")
    assert run("forget", indexed / "red.png").exit_code == 4
    assert "red.png" not in run("search", "red", "-f").stdout
    assert "1 photo added" in run("index", indexed).stdout


def test_move_root(run: Run, indexed: Path, tmp_path: Path) -> None:
    new = indexed.rename(tmp_path / "elsewhere")
    (new / "half.png").unlink()
    result = run("move-root", indexed, new)
    assert (result.exit_code, result.stdout) == (0, f"4 files moved to {new}\n")
    assert result.stderr == "1 of them cannot be found; the next twinlens index removes them\n"
    assert run("search", "red", "-f").stdout.splitlines()[0] == str(new / "red.png")
    assert run("move-root", indexed, new).exit_code == 2


def test_index_keeps_a_drive_that_is_away(run: Run, indexed: Path, tmp_path: Path) -> None:
    away = indexed.rename(tmp_path / "unplugged")
    indexed.mkdir()
    (indexed / ".DS_Store").touch()
    result = run("index", indexed)
    assert (result.exit_code, result.stdout[:23]) == (3, "4 kept, not reachable i")
    assert f"keeping 4 files of {indexed}, not reachable: none of its files" in result.stderr
    assert "drop them with: twinlens index FOLDER --prune" in result.stderr
    told = json.loads(run("index", indexed, "--json").stdout)
    assert [(gap["folder"], gap["files"]) for gap in told["kept"]] == [(str(indexed), 4)]

    found = run("search", "red", "--json", "--threshold", 0)
    assert {json.loads(line)["reachable"] for line in found.stdout.splitlines()} == {False}
    assert found.stderr.startswith("not reachable: 3 files; the drive is unplugged")
    shown = run("search", "red", "--threshold", 0)
    assert all(line.endswith("\tnot reachable") for line in shown.stdout.splitlines())
    assert run("search", "red", "-f").stdout.splitlines()[0] == str(indexed / "red.png")
    run("search", "red", "--html", tmp_path / "sheet.html")
    assert "not reachable: " in (tmp_path / "sheet.html").read_text()
    refused = run("reindex", "--model", "other")
    assert (refused.exit_code, "is its drive plugged in?" in refused.stderr) == (2, True)

    (indexed / ".DS_Store").unlink()
    indexed.rmdir()
    away.rename(indexed)
    assert run("index", indexed).stdout.startswith("4 unchanged in ")
    found = run("search", "red", "--json")
    assert all("reachable" not in json.loads(line) for line in found.stdout.splitlines())
    assert found.stderr == ""


def test_index_drops_what_is_gone_for_good(run: Run, indexed: Path) -> None:
    for path in indexed.iterdir():
        path.unlink()
    assert run("index", indexed).exit_code == 2
    result = run("index", indexed, "--prune")
    assert (result.exit_code, result.stdout[:12]) == (0, "4 removed in")


def test_a_table_marks_what_is_away(indexed: Path) -> None:
    hit = Hit(rank=1, score=0.5, kind=Kind.PHOTO, path=indexed / "red.png", text="", id=1)
    page = io.StringIO()
    write_table([hit], Console(file=page, width=200), away=frozenset({hit.path}))
    assert page.getvalue().splitlines()[-1].endswith("red.png  not reachable")


def test_reindex(run: Run, indexed: Path, loaded: list[str]) -> None:
    result = run("reindex", "--model", "other")
    assert result.exit_code == 0
    assert result.stdout.startswith("embedded 3 photos and 2 texts with other in ")
    assert run("search", "red").exit_code == 0
    assert loaded[-1] == "other"
    assert result.stderr == ""
    assert "uses other already" in run("reindex", "--model", "other").stderr


@pytest.fixture
def watcher(indexed: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`twinlens watch` over the photos, once it watches."""
    command = [sys.executable, "-c", COMMAND, "watch", indexed, "--library", tmp_path / "library"]
    env, pipe = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}, subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=env, text=True) as process:
        assert process.stderr.readline() == "watching; stop with Ctrl-C\n"
        time.sleep(1)  # until the system reports what changes
        yield process
        process.kill()


def test_watch_sees_a_drive_that_is_back(
    watcher: subprocess.Popen[str], photos: Path, tmp_path: Path
) -> None:
    away = photos.rename(tmp_path / "unplugged")
    assert watcher.stderr.readline().startswith("not indexed now: no folder at ")
    shutil.copytree(away, photos)  # another inode, as a drive has that is plugged in again
    time.sleep(6)  # three looks
    draw(photos / "green.png", "green")
    assert watcher.stdout.readline().startswith("1 photo added, 4 unchanged in ")
    draw(photos / "blue.png", "white")
    assert watcher.stdout.readline().startswith(("1 photo added", "1 file updated"))


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_watch_follows_and_ends(
    run: Run, watcher: subprocess.Popen[str], photos: Path, ending: signal.Signals
) -> None:
    draw(photos / "new" / "green.png", "green")
    assert watcher.stdout.readline().startswith("1 photo added, 4 unchanged in ")
    assert run("search", "green", "-f").stdout.splitlines()[0] == str(photos / "new" / "green.png")
    (photos / "new" / "green.png").unlink()
    assert watcher.stdout.readline().startswith("1 removed, 4 unchanged in ")
    watcher.send_signal(ending)
    out, err = watcher.communicate(timeout=60)
    assert (watcher.returncode, out, err) == (0, "", "stopped watching\n")

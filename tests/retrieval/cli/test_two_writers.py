"""Two processes write to one library: the second waits and says so, or ends with code 12."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes import draw

if TYPE_CHECKING:
    from tests.retrieval.cli.conftest import Run

ROOT = Path(__file__).parents[3]

HOLD = """
import sys
from pathlib import Path
from indexer.library.library import Library
with Library.open(Path(sys.argv[1])) as library, library.writing():
    print("holding", flush=True)
    sys.stdin.readline()
"""

COMMAND = """
import signal, sys
from retrieval.cli import main
from retrieval.runtime import select_encoder
from tests.fakes import ColourEncoder
select_encoder.quick_encoder = lambda spec="builtin", device="auto", **_: ColourEncoder(
    name=spec, fingerprint=f"fingerprint of {spec}")
sys.argv = ["twinlens", *sys.argv[1:]]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
main()
"""


def _start(code: str, *args: object) -> subprocess.Popen[str]:
    """Start a process of ours."""
    command = [sys.executable, "-c", code, *map(str, args)]
    pipe, env = subprocess.PIPE, os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=env, text=True)


@pytest.fixture
def library(tmp_path: Path, indexed: Path) -> Path:
    """A library that holds the photos."""
    return tmp_path / "library"


@pytest.fixture
def writer(library: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes to it until it reads a line."""
    with _start(HOLD, library) as process:
        assert process.stdout.readline() == "holding\n"
        yield process
        process.kill()


def test_the_second_writer_waits_and_says_so(
    library: Path, writer: subprocess.Popen[str], photos: Path
) -> None:
    draw(photos / "new.png", "green")
    with _start(COMMAND, "index", photos, "--library", library) as second:
        message = second.stderr.readline()
        assert f"is being written by process {writer.pid} since " in message
        assert message.endswith(" ago; waiting for it to finish\n")
        assert second.poll() is None
        writer.communicate("done\n")
        out, _ = second.communicate(timeout=120)
    assert (second.returncode, out[:13]) == (0, "1 photo added")


def test_with_no_wait_it_ends_with_12(
    run: Run, writer: subprocess.Popen[str], photos: Path
) -> None:
    draw(photos / "new.png", "green")
    for command in (("index", photos), ("check", "--repair")):
        result = run(*command, "--no-wait")
        assert (result.exit_code, result.stdout) == (12, "")
        assert f"by process {writer.pid} since" in result.stderr
        assert result.stderr.endswith("; try again when it has finished\n")


def test_readers_never_wait(run: Run, writer: subprocess.Popen[str]) -> None:
    assert run("search", "red").exit_code == 0
    assert run("info").exit_code == 0
    assert run("check").stdout == "the library is intact\n"
    assert writer.poll() is None


def test_a_writer_that_died_holds_nothing(
    run: Run, writer: subprocess.Popen[str], photos: Path
) -> None:
    writer.kill()
    writer.wait()
    assert run("index", photos, "--no-wait").exit_code == 0


def test_two_that_make_the_same_library_both_end_well(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    draw(tmp_path / "more" / "green.png", "green")
    arguments = [
        ("index", folder, "--library", tmp_path / "library")
        for folder in (photos, tmp_path / "more")
    ]
    started = [_start(COMMAND, *each) for each in arguments]
    done = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], done
    names = {Path(line).name for line in run("search", "red", "-f").stdout.splitlines()}
    assert names == {"red.png", "half.png", "blue.png", "green.png"}
    assert run("check").stdout == "the library is intact\n"

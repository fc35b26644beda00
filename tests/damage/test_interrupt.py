"""Ctrl-C and signals end a run at once, whatever its decoders are at; what is committed stays."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from indexer.core.types import Kind
from indexer.library.library import Library
from indexer.library.verify import check
from tests.fakes import draw
from tests.tiny import tiny_model

ROOT = Path(__file__).parents[2]

_RUN = """
import signal, sys
from retrieval.runtime import select_encoder
from tests.fakes import ColourEncoder
encoder = ColourEncoder(fingerprint="of builtin", name="builtin")
select_encoder.quick_encoder = lambda *_, **__: encoder
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from retrieval.cli import main
main(sys.argv[1:])
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="finds the process in /proc"
)


def _slow() -> bytes:
    """An animation whose million frames are counted for most of a minute."""
    frame = b"\x21\xf9\x04\0\x01\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
    head = b"GIF89a" + struct.pack("<HHBBB", 2, 2, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return head + frame * 1_000_000 + b";"


def _children(pid: int) -> list[int]:
    """The processes that a process has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _runs(pid: int) -> bool:
    """Tell whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _waited(seconds: float, done: object) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    assert callable(done)
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, -signal.SIGTERM),  # 143 to a shell
        (signal.SIGHUP, -signal.SIGHUP),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_a_slow_file_holds_up_no_signal(sent: signal.Signals, code: int, tmp_path: Path) -> None:
    photos, library = tmp_path / "photos", tmp_path / "library"
    for number in range(4):
        draw(photos / f"{number}.png", "red")
    (photos / "slow.gif").write_bytes(_slow())
    command = ["index", str(photos), "--library", str(library), "-b", "1"]
    with subprocess.Popen(
        [sys.executable, "-c", _RUN, *command],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        _waited(60, lambda: _children(process.pid))
        time.sleep(2)  # the good photos are read; the slow one is not
        decoders = _children(process.pid)
        assert decoders
        started = time.monotonic()
        process.send_signal(sent)
        out, said = process.communicate(timeout=60)
        assert time.monotonic() - started < 5
    assert process.returncode == code
    assert "Traceback" not in out + said
    _waited(2, lambda: not any(map(_runs, decoders)))
    if library.exists():
        assert check(library) == []
        with Library.open(library) as opened:
            assert opened.counts()[Kind.PHOTO] <= 4


@pytest.mark.parametrize("cached", ["8", "0"], ids=["before it learns", "while it learns"])
def test_a_slow_file_does_not_hold_up_the_end_of_a_training(cached: str, tmp_path: Path) -> None:
    rows = [{"image": f"{number}.png", "caption": "red"} for number in range(4)]
    for row in rows:
        draw(tmp_path / row["image"], "red")
    (tmp_path / "slow.gif").write_bytes(_slow())
    rows.append({"image": "slow.gif", "caption": "blue"})
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tiny_model(tmp_path / "tiny")
    command = ["train", "--pairs=pairs.jsonl", "--init=tiny", "--out=out", "--device=cpu"]
    with subprocess.Popen(
        [sys.executable, "-c", _RUN, *command, f"--cache-gib={cached}", "--batch-size=5"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        _waited(60, lambda: _children(process.pid))
        time.sleep(2)
        decoders = _children(process.pid)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        _waited(5, lambda: not any(map(_runs, decoders)))
        out, said = process.communicate(timeout=60)
        assert time.monotonic() - started < 20  # the file takes 30; torch takes its time to end
    assert process.returncode == 130, said
    assert "Traceback" not in out + said

"""Commands run on a terminal of their own, of any size."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
SECONDS = 60.0


class Shown(NamedTuple):
    """How a command ended, and every byte that it sent to its terminal."""

    code: int
    data: bytes


def on_terminal(
    code: str, *args: object, rows: int = 24, columns: int = 80, **environment: str
) -> Shown:
    """Run Python code with arguments on a new terminal; skip where there are none."""
    pty = pytest.importorskip("pty")
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    inherited = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=inherited | {"PYTHONPATH": str(ROOT), "TERM": "xterm", **environment},
    )
    os.close(theirs)
    try:
        return Shown(data=_read(ours), code=process.wait(SECONDS))
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read(handle: int) -> bytes:
    """Read until the last process on the other side has ended."""
    data, end = b"", time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            block = os.read(handle, 1 << 16)
        except OSError:  # as Linux says that nobody is there any more
            break
        if not block:
            break
        data += block
    return data

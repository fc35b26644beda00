"""The installed command `twinlens serve` in a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

STARTS_WITHIN, ENDS_WITHIN = 60, 20  # seconds
_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/")


def command() -> str:
    """Return where the `twinlens` of this Python is."""
    beside = Path(sys.executable).parent / "twinlens"
    found = str(beside) if beside.is_file() else shutil.which("twinlens")
    assert found, "twinlens is not installed; run: bash scripts/test.sh"
    return found


def twinlens(*args: object) -> None:
    """Run another command to its end."""
    called = [command(), *map(str, args)]
    done = subprocess.run(called, capture_output=True, text=True, env=_environment(), timeout=120)
    assert done.returncode in {0, 3}, done.stderr


@dataclass
class Server:
    """One running server.

    Attributes:
        address: of the page, with a slash at the end.
        port: which it listens on.
        printed: its lines so far.
    """

    address: str
    port: int
    process: subprocess.Popen[str]
    printed: list[str] = field(default_factory=list)

    def end(self) -> None:
        """Ask it to end as Ctrl-C does, and wait until it has."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise


@contextmanager
def serving(*libraries: Path, port: int = 0, options: tuple[str, ...] = ()) -> Iterator[Server]:
    """Serve libraries on a free port, or on the one that is named, until the block ends."""
    named = [part for library in libraries for part in ("--library", str(library))]
    process = subprocess.Popen(
        [command(), "serve", *named, "--port", str(port), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment(),
    )
    try:
        server = _started(process)
        yield server
        server.end()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stdout
        process.stdout.close()


def _started(process: subprocess.Popen[str]) -> Server:
    """Read what the server prints until it says its address, and go on reading beside."""
    assert process.stdout
    printed: list[str] = []
    watchdog = threading.Timer(STARTS_WITHIN, process.kill)
    watchdog.start()
    for line in process.stdout:
        printed.append(line)
        if found := _ADDRESS.search(line):
            watchdog.cancel()
            server = Server(found[0], int(found[1]), process, printed)
            threading.Thread(target=_read_on, args=(server,), daemon=True).start()
            return server
    watchdog.cancel()
    raise AssertionError(f"twinlens serve said no address: {''.join(printed)}")


def _read_on(server: Server) -> None:
    """Keep the pipe from filling."""
    assert server.process.stdout
    try:
        for line in server.process.stdout:
            server.printed.append(line)
    except ValueError:  # closed at the end
        pass


def _environment() -> dict[str, str]:
    """The environment of this process, with the hub out of reach and output as it comes."""
    return {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}

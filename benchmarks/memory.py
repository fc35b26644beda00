"""What memory one command takes at its peak: its own, and pages of files that it maps (Linux).

    python benchmarks/memory.py search "a dog on the beach" --library L

Runs `twinlens` with these arguments in a process of its own and looks at it each few milliseconds.
The system may drop pages of files whenever others need the memory, and shares them between
processes; what a process has made itself (anonymous memory) it cannot.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

EVERY = 0.002  # seconds
COMMAND = (sys.executable, "-m", "retrieval.cli")


def main() -> None:
    process = subprocess.Popen([*COMMAND, *sys.argv[1:]], stdout=subprocess.DEVNULL)
    own, mapped, highest = 0, 0, 0
    while process.poll() is None:
        now = resident(process.pid)
        own, mapped = max([(own, mapped), now], key=sum)
        highest = max(highest, now[0])
        time.sleep(EVERY)
    print(f"exit code {process.returncode}; at the peak {(own + mapped) / 1e3:.0f} MB:")
    print(f"{own / 1e3:.0f} MB of its own, {mapped / 1e3:.0f} MB of files that it maps")
    print(f"most of its own at any time: {highest / 1e3:.0f} MB")


def resident(pid: int) -> tuple[int, int]:
    """Return KB of anonymous memory, and of pages of files; none of a process that ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    own, mapped = (re.search(rf"{name}:\s+(\d+)", status) for name in ("RssAnon", "RssFile"))
    return (int(own[1]), int(mapped[1])) if own and mapped else (0, 0)


if __name__ == "__main__":
    main()

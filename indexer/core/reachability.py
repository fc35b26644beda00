"""Check which files can be reached now: their drive is mounted and answers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from threading import Thread

PATIENCE = 5.0
"""Seconds that one look may take: a share that has gone would let it wait for ever."""

NOT_REACHABLE = "not reachable"
"""What is said of a file whose drive is away, or that was deleted since it was indexed."""


def unreachable(paths: Iterable[Path]) -> frozenset[Path]:
    """Return the paths at which there is no file now, or none that can be looked at."""
    asked = {os.fspath(path): path for path in paths}
    there: list[str] = []
    looks = iter(asked)
    looked = 0

    def look() -> None:
        nonlocal looked
        for path in looks:
            if os.path.exists(path):  # noqa: PTH110 - never raises
                there.append(path)
            looked += 1

    # A thread of its own, since nothing can interrupt the look at a share that has gone.
    thread = Thread(target=look, daemon=True)
    thread.start()
    before = -1
    while thread.is_alive() and looked > before:
        before = looked
        thread.join(PATIENCE)
    found = set(there)
    return frozenset(path for name, path in asked.items() if name not in found)

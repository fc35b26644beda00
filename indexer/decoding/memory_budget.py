"""The memory budget of decoding: a share of the memory of the machine or its container.

All decoders of this process share one budget. Small files need no reservation. A large file waits
until there is room for it, so large photos are decoded one at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Condition, Lock

_SHARE = 2  # the half of the memory; the model and the system need the rest
_TOGETHER = 2_000_000_000
"""Files are decoded beside each other up to so many bytes; what takes more is decoded alone."""

_UNKNOWN = 4_000_000_000  # bytes, of a system that does not tell


class MemoryBudget:
    """Bytes that files may take while they are decoded.

    Args:
        most: what one file may take.
        together: what several may take at the same time.
    """

    def __init__(self, *, most: int, together: int) -> None:
        self.most = most
        self._together = together
        self._held = 0
        self._turn, self._changed = Lock(), Condition()

    @contextmanager
    def holding(self, need: int) -> Iterator[None]:
        """Wait for room, first come first served, and hold it. Take one at a time in a thread."""
        with self._turn, self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + need <= self._together)
            self._held += need
        try:
            yield
        finally:
            with self._changed:
                self._held -= need
                self._changed.notify_all()


@cache
def budget() -> MemoryBudget:
    """Return the one budget of this process."""
    most = memory() // _SHARE
    return MemoryBudget(most=most, together=min(most, _TOGETHER))


def memory(root: Path = Path("/")) -> int:
    """Return the bytes that this machine has, or the control group that this process is in.

    Args:
        root: of the file system; tests have their own.
    """
    return min([_physical(), *_group_limits(root)])


def _physical() -> int:
    """Return the memory of the machine in bytes."""
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return _UNKNOWN


def _group_limits(root: Path) -> Iterator[int]:
    """Yield the limits of the control groups of this process, version 1 or 2, and those above."""
    top = root / "sys/fs/cgroup"
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                yield from _limits(top, path, "memory.max")
            elif "memory" in controllers.split(","):
                yield from _limits(top / "memory", path, "memory.limit_in_bytes")


def _limits(top: Path, path: str, name: str) -> Iterator[int]:
    """Yield the limits of a group and of those above it. A container may see its own as the top."""
    group = top / path.lstrip("/")
    for folder in (group, *group.parents):
        with suppress(OSError, ValueError):  # "max" is no limit
            yield int((folder / name).read_text(encoding="ascii"))
        if folder == top:
            return

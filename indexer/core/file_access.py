"""Open regular files only, and find out which files can be reached now.

A pipe, device or socket could block the process.

The type is checked before a file is opened, because opening a device can have effects. It is
checked again afterwards, because the file may have been replaced in between. A drive may be
unplugged, and a share may not answer.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from threading import Thread
from typing import IO

from indexer.core.errors import FileUnreadable

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)

MAX_SIDECAR_BYTES = 16_000_000
"""A sidecar with thousands of brush strokes has one megabyte."""

NOT_REGULAR = "not a regular file"

_INT64 = 2**63


PATIENCE = 5.0
"""Seconds that one look may take: a share that has gone would let it wait for ever."""

NOT_REACHABLE = "not reachable"
"""What is said of a file whose drive is away, or that was deleted since it was indexed."""


def open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading.

    Raises:
        FileUnreadable: it is no regular file.
        OSError: the system does not let us open it.
    """
    _check(path.stat())
    file = os.fdopen(os.open(path, _FLAGS), "rb")
    try:
        _check(os.fstat(file.fileno()))
    except FileUnreadable:
        file.close()
        raise
    return file


def read_regular(path: Path, most: int | None = None) -> bytes:
    """Read a whole file; never more than it has by its size, which files of /proc do not tell.

    Args:
        path: of the file.
        most: bytes; a larger file is refused.

    Raises:
        FileUnreadable: it is too large, or no regular file.
        OSError: the system does not let us read it.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise FileUnreadable(too_large(most))
        return file.read(size)


def too_large(most: int) -> str:
    """Say that a file has more bytes than are read."""
    return f"larger than {most / 1e6:,.0f} MB"


def is_regular(status: os.stat_result) -> bool:
    """Tell a regular file from a folder, a pipe, a device or a socket."""
    return stat.S_ISREG(status.st_mode)


def signed(number: int) -> int:
    """Return an inode as SQLite can keep it: some systems use all 64 bits."""
    return (number + _INT64) % (2 * _INT64) - _INT64


def date(nanoseconds: int) -> int:
    """Return a date as SQLite can keep it: those before 1677 and after 2262 become these years."""
    return max(-_INT64, min(nanoseconds, _INT64 - 1))


def _check(status: os.stat_result) -> None:
    """Refuse what is no regular file."""
    if not is_regular(status):
        raise FileUnreadable(NOT_REGULAR)


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

"""The lock of a library's single writer, and what other processes are told about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.catalog.reader import CatalogReader
from indexer.core.errors import LibraryLocked, TwinlensError, explained
from indexer.core.permissions import file_mode

if TYPE_CHECKING:
    from filelock import FileLock


def _nobody(message: str) -> None:
    """Tell nobody."""
    del message


@dataclass(frozen=True, kw_only=True)
class LockTimeout:
    """How a writer meets another one.

    Attributes:
        seconds: to wait for it; `math.inf` for as long as it takes.
        tell: called once with who is writing and since when, if there is something to wait for.
    """

    seconds: float = 0.0
    tell: Callable[[str], None] = _nobody


def lock_of(folder: Path) -> FileLock:
    """Make the lock of a library; the system frees it when its holder dies."""
    from filelock import FileLock  # only writers need it, and it loads asyncio

    return FileLock(folder / "lock", mode=file_mode(folder))


@contextmanager
def holding_lock(
    lock: FileLock,
    folder: Path,
    patience: LockTimeout | None = None,
    view: CatalogReader | None = None,
) -> Iterator[None]:
    """Hold a lock; while another process does, say which, and wait as long as patience lasts."""
    from filelock import Timeout

    patience = patience or LockTimeout()
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            owner = _owner(view.facts().writer if view else "")
            busy = f"the library '{folder}' is being written by {owner}"
            if patience.seconds:
                patience.tell(f"{busy}; waiting for it to finish")
            lock.acquire(timeout=patience.seconds)
    except Timeout as error:
        raise LibraryLocked(f"{busy}; try again when it has finished") from error
    except OSError as error:
        raise TwinlensError(
            f"cannot write to '{folder}': {explained(error, folder)}, or name another library with "
            "--library"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _owner(note: str) -> str:
    """Say who holds the lock, from the note it left: "PID SECONDS", seconds since 1970."""
    pid, _, since = note.partition(" ")
    if not since:
        return "another process"
    minutes, seconds = divmod(max(0, round(time.time() - float(since))), 60)
    age = f"{minutes} min" if minutes else f"{seconds} s"
    return f"process {pid} since {age} ago"

"""A small file in a library that says how far an index run is, for other processes to show.

It is deleted when the run ends. One that a killed run left is known by its process, which is gone,
or by its age; the next writer deletes it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from indexer.core.permissions import make_file

NOTE = "indexing.json"

EVERY_SECONDS = 1.0
"""It is not written more often."""

STALE_SECONDS = 600.0
"""A run that has not written for so long is taken to be over: it writes after each batch."""

_LARGEST = 4_096  # bytes; a note has some two hundred


@dataclass(frozen=True, kw_only=True)
class RunProgress:
    """How far an index run is.

    Attributes:
        pid: its process.
        since: when it began, seconds since 1970.
        met: files that it has met.
        files: how many of these are done.
        photos: photos that are new.
        texts: passages that are new.
        skipped: files that could not be read.
        seconds: how long it had run when it wrote this.
    """

    pid: int
    since: float
    met: int = 0
    files: int = 0
    photos: int = 0
    texts: int = 0
    skipped: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """New photos a second."""
        return self.photos / self.seconds if self.seconds > 0 else 0.0


class ProgressNote:
    """Writes how far a run is, for as long as it lasts; a disk that refuses costs the note alone.

    Args:
        folder: of the library.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NOTE
        self._began, self._last = time.time(), 0.0

    def write(self, **counts: float) -> None:
        """Write what `RunProgress` has, unless it was written just now."""
        now = time.monotonic()
        if self._last and now - self._last < EVERY_SECONDS:
            return
        self._last = now
        told = asdict(RunProgress(pid=os.getpid(), since=self._began)) | counts
        part = self._path.with_name(f"{NOTE}.part")
        with suppress(OSError):
            make_file(part)
            part.write_text(json.dumps(told), encoding="utf-8")
            os.replace(part, self._path)  # noqa: PTH105 - no fsync: losing it costs nothing

    def __enter__(self) -> Self:
        self.write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        delete_note(self._path.parent)


def delete_note(folder: Path) -> None:
    """Delete the note of a run that is over."""
    for name in (NOTE, f"{NOTE}.part"):
        with suppress(OSError):
            (folder / name).unlink(missing_ok=True)


def run_progress(folder: Path) -> RunProgress | None:
    """Return how far the run is that writes to a library now; None where there is none."""
    try:
        with (folder / NOTE).open("rb") as file:
            age = time.time() - os.fstat(file.fileno()).st_mtime
            told = _read(json.loads(file.read(_LARGEST)))
    except (OSError, ValueError, TypeError):
        return None
    return told if age < STALE_SECONDS and _runs(told.pid) else None


def _read(told: Any) -> RunProgress:
    """Read a note; whatever is none is refused.

    Raises:
        TypeError: it is not what `ProgressNote` writes.
    """
    if not isinstance(told, Mapping) or not all(_is_number(value) for value in told.values()):
        raise TypeError("no progress of a run")
    return RunProgress(**told)


def _is_number(value: object) -> bool:
    """Tell a count or a time from anything else."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15


def _runs(pid: int) -> bool:
    """Return whether a process runs; on Windows, asking could end it, so it counts as running."""
    if os.name == "nt":
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True

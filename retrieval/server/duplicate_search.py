"""Looks for copies in a library beside its searches, and keeps what it found until a commit."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from indexer.core.errors import TwinlensError
from indexer.duplicates.finder import DuplicateGroup
from retrieval.api import PhotoLibrary
from retrieval.server.libraries import ServedLibrary

TELL_SECONDS = 0.5
"""Progress is told no more often."""

_NICE = 10  # how far the thread stands back behind searches, where the system can do so
_GRACE_SECONDS = 2.0

Tell = Callable[[int, int], None]
"""Called with the photos looked at, and those to look at."""


@dataclass(kw_only=True)
class _Run:
    """One search for copies.

    Attributes:
        generation: of the commit in which it looks.
        alike: from which correlation on pictures may be copies.
        done: photos looked at.
        total: photos to look at; 0 until that is known.
        groups: what was found; None until then.
        error: why it failed.
        given_up: whether nobody wants it any more.
    """

    generation: int
    alike: float
    done: int = 0
    total: int = 0
    groups: list[DuplicateGroup] | None = None
    error: TwinlensError | None = None
    given_up: bool = False


class _GivenUp(Exception):
    """Nobody wants the result any more."""


class DuplicateSearch:
    """The search for copies in one library: one at a time, in a thread of its own.

    Args:
        served: the library.
        tell: is told of progress.
    """

    def __init__(self, served: ServedLibrary, tell: Tell) -> None:
        self._served, self._tell = served, tell
        self._lock = threading.Lock()
        self._run: _Run | None = None
        self._thread: threading.Thread | None = None

    def state(self, generation: int, alike: float) -> tuple[list[DuplicateGroup] | None, int, int]:
        """Return what was found in a commit; None and the progress while it is looked for.

        The first one to ask begins the search; another commit, or another `alike`, begins anew.

        Raises:
            TwinlensError: it failed; the next one to ask begins again.
        """
        with self._lock:
            run = self._run
            if run is None or (run.generation, run.alike) != (generation, alike):
                run = self._begin(generation, alike)
            if run.error is not None:
                self._run = None
                raise run.error
            return run.groups, run.done, run.total

    def close(self) -> None:
        """Give up what is in progress, and wait for it a little."""
        with self._lock:
            if self._run is not None:
                self._run.given_up = True
            thread = self._thread
        if thread is not None:
            thread.join(_GRACE_SECONDS)

    def _begin(self, generation: int, alike: float) -> _Run:
        """Begin a search; one for something else is given up."""
        if self._run is not None:
            self._run.given_up = True
        run = self._run = _Run(generation=generation, alike=alike)
        thread = threading.Thread(
            target=self._look,
            args=(run, self._thread),
            name=f"copies-{self._served.name}",
            daemon=True,
        )
        self._thread = thread
        thread.start()
        return run

    def _look(self, run: _Run, before: threading.Thread | None) -> None:
        """Look for copies, after what was given up has ended."""
        if before is not None:
            before.join()
        _stand_back()
        progress = _Progress(run, self._tell)
        try:
            with self._served.leased() as library:
                run.groups = _found(library, run, progress)
        except _GivenUp:
            return
        except TwinlensError as error:
            run.error = error
        self._tell(run.total, run.total)


def _found(library: PhotoLibrary, run: _Run, progress: _Progress) -> list[DuplicateGroup]:
    """Look for copies in an open library."""
    progress(0, 0)
    return library.duplicates(alike=run.alike, progress=progress)


class _Progress:
    """Notes how far a search is, and ends one that nobody wants any more."""

    def __init__(self, run: _Run, tell: Tell) -> None:
        self._run, self._tell = run, tell
        self._told = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Note the progress.

        Raises:
            _GivenUp: nobody wants the result.
        """
        if self._run.given_up:
            raise _GivenUp
        self._run.done, self._run.total = done, total
        if time.monotonic() - self._told >= TELL_SECONDS:
            self._told = time.monotonic()
            self._tell(done, total)


def _stand_back() -> None:
    """Let searches go first: on Linux each thread has a priority of its own."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)

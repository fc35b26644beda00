"""Threads that do the work of requests: a few at once, a few that wait, each within its time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from retrieval.server.problems import Problem
from retrieval.server.settings import ServeSettings

T = TypeVar("T")

_PAUSE = 0.01


class Workers:
    """A bounded pool of threads. Work that nobody waits for any more is not begun.

    Args:
        name: of the threads.
        settings: how many work, how many wait, and for how long.
        threads: how many work, if not as many as the settings say.
    """

    def __init__(self, name: str, settings: ServeSettings, threads: int = 0) -> None:
        self._settings, self._most = settings, threads or settings.workers
        self._threads = ThreadPoolExecutor(self._most, thread_name_prefix=name)
        self._lock, self._held = threading.Lock(), 0

    @property
    def held(self) -> int:
        """How much work is being done or waits."""
        return self._held

    async def run(self, work: Callable[[], T]) -> T:
        """Do some work in a thread, and return what comes out.

        Where the caller is cancelled, since its client has left, work that waits is dropped.

        Raises:
            Problem: too much work waits, or it takes too long.
        """
        future = self._submitted(work)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._settings.deadline)
        except TimeoutError as error:
            if future.done() and not future.cancelled():
                raise  # the work's own
            raise Problem(
                "timeout",
                f"it took more than {self._settings.deadline:g} seconds; ask for less, or again "
                "when the server is less busy",
            ) from error

    def close(self, seconds: float) -> bool:
        """Drop the work that waits; return whether what has begun ends within some seconds."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + seconds
        while self._held and time.monotonic() < until:
            time.sleep(_PAUSE)
        return not self._held

    def _submitted(self, work: Callable[[], T]) -> Future[T]:
        """Give some work to the threads, if there is room."""
        with self._lock:
            if self._held >= self._most + self._settings.waiting:
                raise Problem(
                    "busy", f"{self._held:,} requests wait; ask again in a moment", retry_after=1
                )
            self._held += 1
        try:
            future = self._threads.submit(work)
        except RuntimeError as error:
            self._leave()
            raise Problem("busy", "the server is ending", retry_after=5) from error
        future.add_done_callback(lambda _: self._leave())
        return future

    def _leave(self) -> None:
        """Count work that is done or dropped."""
        with self._lock:
            self._held -= 1

"""Work that several threads ask for at the same time, and that is done once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SharedWork(Generic[K, T]):
    """Runs each work once for all threads that ask for it while it runs."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: dict[K, Future[T]] = {}

    def once(self, key: K, work: Callable[[], T]) -> T:
        """Return what the work returns, or raise what it raises.

        Args:
            key: of two calls with the same key, the later one waits for the earlier one.
            work: called in the thread that asks first.
        """
        with self._lock:
            running = self._running.get(key)
            if running is None:
                mine = self._running[key] = Future[T]()
        if running is not None:
            return running.result()
        try:
            result = work()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(result)
            return result
        finally:
            with self._lock:
                del self._running[key]

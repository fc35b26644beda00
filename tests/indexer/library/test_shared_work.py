"""Work that several threads ask for at the same time is done once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from indexer.library.shared_work import SharedWork


def _waiting(work: SharedWork[str, int], threads: int) -> None:
    """Wait until so many threads wait for the work of another."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        running = work._running.get("a")
        if running is not None and len(running._condition._waiters) == threads:
            return
        time.sleep(0.01)
    raise AssertionError("the threads do not wait")


def test_threads_that_ask_for_the_same_get_the_same() -> None:
    work: SharedWork[str, int] = SharedWork()
    go, done = threading.Event(), []

    def slow() -> int:
        go.wait(30)
        done.append(1)
        return len(done)

    with ThreadPoolExecutor(5) as pool:
        results = [pool.submit(work.once, "a", slow) for _ in range(4)]
        _waiting(work, 3)
        assert work.once("b", lambda: 7) == 7
        go.set()
        assert [result.result(30) for result in results] == [1, 1, 1, 1]
    assert work.once("a", slow) == 2


def test_an_error_is_for_all_who_wait_and_not_for_the_next() -> None:
    work: SharedWork[str, int] = SharedWork()
    go = threading.Event()

    def broken() -> int:
        go.wait(30)
        raise ValueError("broken")

    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(work.once, "a", broken) for _ in range(2)]
        _waiting(work, 1)
        go.set()
        for result in results:
            with pytest.raises(ValueError, match="broken"):
                result.result(30)
    assert work.once("a", lambda: 1) == 1

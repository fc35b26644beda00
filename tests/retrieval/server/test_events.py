"""Events: what changes in the libraries, told within a second or two, and the end of it."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from indexer.library.progress_note import ProgressNote
from retrieval.server import events
from tests.fakes import draw
from tests.retrieval.server.colours import Running, drawn, index, running

WITHIN = 30.0  # seconds


class Stream:
    """An open connection on which events come."""

    def __init__(self, server: Running) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WITHIN)
        self._connection.request("GET", "/api/v1/events")
        self.response = self._connection.getresponse()

    def lines(self) -> Iterator[str]:
        """The lines as they come."""
        while line := self.response.readline():
            yield line.decode().rstrip("\n")

    def next(self, name: str) -> dict[str, Any]:
        """The data of the next event of a name."""
        current = ""
        for line in self.lines():
            kind, _, value = line.partition(": ")
            if kind == "event":
                current = value
            elif kind == "data" and current == name:
                told: dict[str, Any] = json.loads(value)
                return told
        raise AssertionError(f"the stream ended before an event '{name}'")

    def close(self) -> None:
        self.response.close()
        self._connection.close()


@contextmanager
def listening(server: Running) -> Iterator[Stream]:
    """Listen to a server."""
    stream = Stream(server)
    try:
        yield stream
    finally:
        stream.close()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A library of one photo that a test may change."""
    drawn(tmp_path / "photos", ("red",))
    index(tmp_path / "library", tmp_path / "photos")
    return tmp_path / "library"


def test_a_commit_is_told(own: Path) -> None:
    with running(own) as server, listening(server) as stream:
        assert stream.response.getheader("content-type", "").startswith("text/event-stream")
        assert stream.response.getheader("cache-control") == "no-store"
        first = stream.next("library")
        assert (first["name"], first["state"], first["photos"]) == ("library", "ready", 1)
        assert first == server.get("/api/v1/libraries").json["libraries"][0]
        draw(own.parent / "photos" / "blue.png", "blue")
        index(own, own.parent / "photos")
        told = stream.next("library")
        while told["photos"] < 2:
            told = stream.next("library")
        assert told["generation"] > first["generation"]


def test_a_run_beside_is_told(own: Path) -> None:
    with running(own) as server, listening(server) as stream:
        assert stream.next("library")["indexing"] is None
        with ProgressNote(own) as note:
            told = stream.next("index")
            assert (told["name"], told["pid"], told["photos"]) == ("library", os.getpid(), 0)
            time.sleep(1.1)
            note.write(met=9, files=7, photos=5, seconds=2.0)
            while told["photos"] == 0:
                told = stream.next("index")
            assert (told["met"], told["files"], told["rate"]) == (9, 7, 2.5)
            listed = server.get("/api/v1/libraries").json["libraries"][0]
            assert listed["indexing"]["photos"] == 5
        told = stream.next("library")
        while told["indexing"] is not None:
            told = stream.next("library")


def test_a_library_that_goes_and_comes_is_told(own: Path) -> None:
    with running(own) as server, listening(server) as stream:
        assert stream.next("library")["state"] == "ready"
        away = own.rename(own.with_name("away"))
        assert stream.next("library")["state"] == "missing"
        away.rename(own)
        assert stream.next("library")["state"] == "ready"


def test_a_quiet_connection_is_kept(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    with running(own) as server, listening(server) as stream:
        lines = stream.lines()
        assert next(lines) == "retry: 3000"
        assert ": still here" in (next(lines) for _ in range(50))


def test_nobody_is_looked_at_while_nobody_listens(own: Path) -> None:
    with running(own) as server:
        hub = server.server.app.state.events
        with listening(server) as stream:
            stream.next("library")
            assert (hub.listeners, hub._looking is None) == (1, False)
        until = time.monotonic() + WITHIN
        while hub.listeners and time.monotonic() < until:
            time.sleep(0.05)
        assert (hub.listeners, hub._looking) == (0, None)


def test_so_many_may_listen(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_LISTENERS", 2)
    with running(own) as server, listening(server) as one, listening(server) as other:
        one.next("library")
        other.next("library")
        answer = server.get("/api/v1/events")
        assert (answer.status, answer.code) == (503, "busy")
        assert answer.headers["retry-after"] == "5"


def test_streams_end_with_the_server(own: Path) -> None:
    ended: list[float] = []
    with running(own) as server:
        stream = Stream(server)
        stream.next("library")

        def read() -> None:
            for _ in stream.lines():
                pass
            ended.append(time.monotonic())

        thread = threading.Thread(target=read)
        thread.start()
        asked = time.monotonic()
        server.server.stop()
        thread.join(WITHIN)
    stream.close()
    assert len(ended) == 1
    assert ended[0] - asked < 2.5  # without waiting for what is in progress


def test_who_is_far_behind_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from retrieval.server.libraries import Libraries
    from retrieval.server.settings import ServeSettings
    from retrieval.server.workers import Workers

    async def scenario() -> list[str]:
        hub = events.EventHub(Libraries([]), Workers("none", ServeSettings()))
        closing = asyncio.Event()
        stream = hub.listen(closing)
        read = [await anext(stream)]
        for number in range(events._WAITING + 1):
            hub.publish("index", {"number": number})
        await asyncio.sleep(0)
        read += [each async for each in stream]
        assert hub.listeners == 0
        return read

    assert asyncio.run(scenario()) == ["retry: 3000\n\n"]

"""How much one client may ask for: bytes, time, and how many requests at once."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import StreamingResponse

from retrieval.server.connections import GuardedConnection
from retrieval.server.libraries import ChosenLibrary
from retrieval.server.settings import ServeSettings
from tests.retrieval.server.colours import Running, running

JSON = "application/json"


class Slow:
    """Routes whose work lasts until it is let go."""

    def __init__(self, app: FastAPI) -> None:
        self.go, self.began, self.left = threading.Event(), threading.Semaphore(0), 0
        router = APIRouter()

        @router.get("/slow")
        async def slow(chosen: ChosenLibrary) -> str:
            return await chosen.run(self._wait)

        @router.get("/stream")
        async def stream() -> StreamingResponse:
            return StreamingResponse(self._endless(app))

        @router.get("/broken")
        async def broken() -> str:
            raise ValueError("a secret of the inside")

        app.include_router(router)

    def _wait(self, _library: object) -> str:
        self.began.release()
        self.go.wait(20)
        return "done"

    async def _endless(self, app: FastAPI) -> Iterator[bytes]:  # type: ignore[misc]
        try:
            while not app.state.closing.is_set():
                yield b"x" * 65_536
        finally:
            self.left += 1


@contextmanager
def slow(folder: Path, **settings: float) -> Iterator[tuple[Running, Slow]]:
    """A server with slow routes beside its own."""
    with running(folder, settings=ServeSettings(port=0, **settings)) as server:  # type: ignore[arg-type]
        routes = Slow(server.server.app)
        _until(lambda: all(task.done() for task in server.server.warming))
        try:
            yield server, routes
        finally:
            routes.go.set()


def _until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def _ended(connection: socket.socket) -> bool:
    """Wait until the server ends a connection, without an answer."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_large_body_is_refused_by_its_length(site: Running) -> None:
    head = "POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = site.raw(f"{head}Content-Length: 999999999999\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code": "too_large"' in answer


def test_a_large_body_is_refused_where_its_length_is_not_told(coloured: Path) -> None:
    with running(coloured, settings=ServeSettings(port=0, body_bytes=1_000)) as server:
        parts = (b"x" * 400 for _ in range(3))
        answer = server.ask("POST", "/api/v1/search", parts, content_type=JSON)
        assert (answer.status, answer.code) == (413, "too_large")
        small = json.dumps({"terms": [{"text": "red"}]}).encode()
        parts = (bytes([each]) for each in small)
        assert server.ask("POST", "/api/v1/search", parts, content_type=JSON).status == 200


def test_a_picture_may_be_larger_than_other_bodies(coloured: Path) -> None:
    settings = ServeSettings(port=0, body_bytes=1_000, upload_bytes=5_000)
    with running(coloured, settings=settings) as server:
        sent = server.ask("POST", "/api/v1/queries", b"x" * 2_000, content_type="image/png")
        assert (sent.status, sent.code) == (400, "usage")  # no picture, but not too large
        sent = server.ask("POST", "/api/v1/queries", b"x" * 5_001, content_type="image/png")
        assert (sent.status, sent.code) == (413, "too_large")


def test_too_many_bodies_at_once_are_refused(coloured: Path) -> None:
    with running(coloured, settings=ServeSettings(port=0, buffer_bytes=1_000)) as server:
        answer = server.ask("POST", "/api/v1/search", b"x" * 1_001, content_type=JSON)
        assert (answer.status, answer.code) == (503, "busy")
        assert answer.headers["retry-after"] == "1"
        assert server.post("/api/v1/search", {}).status == 200


def test_a_body_that_comes_too_slowly_is_refused(coloured: Path) -> None:
    with running(coloured, settings=ServeSettings(port=0, body_seconds=0.3)) as server:
        head = "POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        answer = server.raw(f"{head}\r\nContent-Length: 10\r\n\r\n{{".encode())
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code": "slow"' in answer


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: local", b"GET /"])
def test_headers_that_come_too_slowly_end_the_connection(
    coloured: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(GuardedConnection, "head_seconds", 0.3)
    with running(coloured) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(sent)
            assert _ended(connection)
            began = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            told = b""
            while b'{"status":"ok"}' not in told:
                told += connection.recv(65_536)
            connection.sendall(b"GET /healthz HT")  # the second request of a connection
            assert _ended(connection)
        assert time.monotonic() - began < 10


def test_headers_that_are_too_long_are_refused(site: Running) -> None:
    long = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000
    assert site.raw(long).startswith(b"HTTP/1.1 400 ")


def test_connections_beyond_all_limits_are_ended(
    coloured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuardedConnection, "most", 1)
    with running(coloured) as server:
        connections = server.server._server.server_state.connections
        with socket.create_connection(("127.0.0.1", server.port), timeout=20):
            _until(lambda: len(connections) == 1)
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as more:
                assert _ended(more)
        _until(lambda: not connections)
        assert server.get("/healthz").status == 200


def test_a_client_that_does_not_read_is_let_go(
    coloured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuardedConnection, "stall_seconds", 0.3)
    with (
        slow(coloured) as (server, _),
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection,
    ):
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connections = server.server._server.server_state.connections
        _until(lambda: len(connections) == 1)
        _until(lambda: not connections)
        assert server.get("/healthz").status == 200


def test_a_long_query_is_refused(site: Running) -> None:
    answer = site.get(f"/api/v1/search?q={'a' * 2_001}")
    assert (answer.status, answer.code) == (422, "usage")
    assert answer.json["detail"].startswith("q: String should have at most 2000 characters")
    terms = [{"text": "red"}] * 33
    assert site.post("/api/v1/search", {"terms": terms}).status == 422


def test_requests_beyond_the_queue_are_told_to_come_again(coloured: Path) -> None:
    with slow(coloured, workers=1, waiting=1) as (server, routes), ThreadPoolExecutor(2) as asking:
        held = [asking.submit(server.get, "/slow") for _ in range(2)]
        workers = server.server.libraries.named(None).workers
        _until(lambda: workers.held == 2)
        answer = server.get("/api/v1/search?q=red")
        assert (answer.status, answer.code) == (503, "busy")
        assert answer.headers["retry-after"] == "1"
        assert server.get("/healthz").status == 200  # what needs no library goes on
        routes.go.set()
        assert [each.result().status for each in held] == [200, 200]
        assert paths_of_red(server) == 200


def paths_of_red(server: Running) -> int:
    """The status of a search."""
    return server.get("/api/v1/search?q=red").status


def test_requests_beyond_all_limits_are_told_to_come_again(coloured: Path) -> None:
    with slow(coloured, requests=1) as (server, routes), ThreadPoolExecutor(1) as asking:
        held = asking.submit(server.get, "/slow")
        assert routes.began.acquire(timeout=20)
        assert server.get("/healthz").code == "busy"
        routes.go.set()
        assert held.result().status == 200


def test_what_takes_too_long_is_ended(coloured: Path) -> None:
    with slow(coloured, deadline=0.3) as (server, routes):
        answer = server.get("/slow")
        assert (answer.status, answer.code) == (504, "timeout")
        routes.go.set()


def test_work_that_nobody_waits_for_is_not_begun(coloured: Path) -> None:
    with slow(coloured, workers=1) as (server, routes):
        workers = server.server.libraries.named(None).workers
        ask = b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port)) as first:
            first.sendall(ask)
            assert routes.began.acquire(timeout=20)
            with socket.create_connection(("127.0.0.1", server.port)) as second:
                second.sendall(ask)
                _until(lambda: workers.held == 2)
            _until(lambda: workers.held == 1)  # the second has left, and its work with it
            routes.go.set()
        _until(lambda: workers.held == 0)
        assert not routes.began.acquire(timeout=0.1)


def test_a_failure_of_ours_tells_nothing_of_the_inside(
    coloured: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with slow(coloured) as (server, _):
        answer = server.get("/broken")
        assert (answer.status, answer.code) == (500, "failed")
        assert b"secret" not in answer.body
    (line,) = [line for line in caplog.messages if answer.headers["x-request-id"] in line]
    assert "ValueError" in line
    assert "secret" not in line


def test_streams_end_with_the_server(coloured: Path) -> None:
    with slow(coloured) as (server, routes):
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(100)
    assert routes.left == 1
    connection.close()

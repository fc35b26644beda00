"""Connections that end clients which send or read too slowly."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from retrieval.server.problems import MEDIA_TYPE, Problem, body_of
from retrieval.server.security import HEADERS


class GuardedConnection(H11Protocol):
    """A connection of the server, with a limit of time for what uvicorn waits for without one.

    Attributes:
        most: connections at once; one more is ended at once.
        head_seconds: in which the headers of a request have to be there.
        stall_seconds: in which a client has to read some of an answer.
    """

    most = 512
    head_seconds = 10.0
    stall_seconds = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head, self._stall = _Deadline(self), _Deadline(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection: the first headers are awaited."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        self._head.start(self.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Take in some bytes; those of headers that are not complete start the clock."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head.stop()
        else:
            self._head.start(self.head_seconds)

    def on_response_complete(self) -> None:
        """Wait for the next request, as long as uvicorn keeps a connection."""
        super().on_response_complete()
        self._head.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        super().connection_lost(exc)
        self._head.stop()
        self._stall.stop()

    def pause_writing(self) -> None:
        """Wait for a client that reads slowly."""
        super().pause_writing()
        self._stall.start(self.stall_seconds)

    def resume_writing(self) -> None:
        """Go on for a client that has read."""
        super().resume_writing()
        self._stall.stop()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with a problem, and end the connection."""
        problem = Problem("usage", f"{msg.rstrip('.')}: send HTTP/1.1, and headers below 16 kB")
        body = body_of(problem, "")
        headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        headers += [(b"content-type", MEDIA_TYPE.encode()), (b"connection", b"close")]
        headers += [(b"content-length", str(len(body)).encode())]
        start = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        for event in (start, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class _Deadline:
    """Ends a connection at some time, unless it is stopped before."""

    def __init__(self, connection: GuardedConnection) -> None:
        self._connection = connection
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Start the clock, if it does not run yet."""
        if self._timer is None:
            end = self._connection.transport.abort
            self._timer = self._connection.loop.call_later(seconds, end)

    def stop(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

"""How much a request may ask for: bytes, time, and how many at once.

The body of a request is read before anything else is done, so that a slow or endless one costs no
thread. A request whose client leaves is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.server.problems import Problem
from retrieval.server.settings import ServeSettings


class ClientLeft(Exception):
    """The client closed the connection before it was answered."""


class Limits:
    """ASGI middleware that ends what asks for too much.

    Args:
        app: what answers.
        settings: of the server.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._settings = app, settings
        self._running = self._buffered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request within the limits.

        Raises:
            Problem: it goes beyond one.
            ClientLeft: nobody waits for the answer any more.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._counted():
            body = await self._body(scope, receive)
            try:
                await self._answered(scope, body, receive, send)
            finally:
                self._buffered -= len(body)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Refuse a request where too many are in progress."""
        if self._running >= self._settings.requests:
            raise Problem(
                "busy", f"{self._running:,} requests are in progress; ask again", retry_after=1
            )
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Read the body, which counts as buffered from then on."""
        most = self._settings.body_limit(scope["path"])
        if int(Headers(scope=scope).get("content-length", "0")) > most:
            raise _too_large(most)
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                async for part in _parts(receive):
                    parts.append(part)
                    self._buffered += len(part)
                    self._check(sum(map(len, parts)), most)
        except BaseException as error:
            self._buffered -= sum(map(len, parts))
            if isinstance(error, TimeoutError):
                raise Problem("slow", "the body came too slowly; send it again") from error
            raise
        return b"".join(parts)

    def _check(self, length: int, most: int) -> None:
        """Refuse a body that is too large, or one too many."""
        if length > most:
            raise _too_large(most)
        if self._buffered > self._settings.buffer_bytes:
            raise Problem("busy", "too many large bodies at once; send it again", retry_after=1)

    async def _answered(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Answer a request whose body is here; end it when the client leaves."""
        left = asyncio.ensure_future(_left(receive))
        answering = asyncio.ensure_future(self._app(scope, _replayed(body, left), _yielding(send)))
        try:
            await asyncio.wait((answering, left), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise ClientLeft
            await answering
        finally:
            for task in (answering, left):
                task.cancel()
            await asyncio.gather(answering, left, return_exceptions=True)


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the parts of a body."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _left(receive: Receive) -> None:
    """Wait until the client has left, or has been answered."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _yielding(send: Send) -> Send:
    """Let others have their turn after each message: to a client that has left, none waits."""

    async def sent(message: Message) -> None:
        await send(message)
        await asyncio.sleep(0)

    return sent


def _replayed(body: bytes, left: asyncio.Future[None]) -> Receive:
    """Return what gives an application the body that was read, then waits for the client."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.wait([left])
        return {"type": "http.disconnect"}

    return receive


def _too_large(most: int) -> Problem:
    """Return the problem of a body that is too large."""
    return Problem("too_large", f"the body is too large; send at most {most:,} bytes")

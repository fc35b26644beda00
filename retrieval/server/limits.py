"""How much a request may ask for: bytes, time, and how many at once."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.server.problems import Problem
from retrieval.server.settings import ServeSettings


class Limits:
    """ASGI middleware that ends what asks for too much.

    Args:
        app: what answers.
        settings: of the server.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request within the limits."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._settings.body_limit(scope["path"])
        if int(Headers(scope=scope).get("content-length", "0")) > most:
            raise _too_large(most)
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise _too_large(most)
            return message

        await self._app(scope, limited, send)


def _too_large(most: int) -> Problem:
    """Return the problem of a body that is too large."""
    return Problem("too_large", f"the body is too large; send at most {most:,} bytes")

"""Every request has an id, is counted and timed, and gets an answer whatever fails.

Every answer carries the headers of `retrieval.server.security`.

No line says what was searched for: a request is named by the pattern of its route.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
import traceback

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from indexer.core.errors import TwinlensError
from retrieval.server.limits import ClientLeft
from retrieval.server.metrics import Metrics
from retrieval.server.problems import REQUEST_ID, Problem, problem_of, response_of
from retrieval.server.security import HEADERS

_DEBUG = "TWINLENS_DEBUG"

LOG = logging.getLogger("twinlens.server")


IS_HEAD = "is_head"
"""Under which the state of a request says that nobody takes the body of the answer."""


class Requests:
    """ASGI middleware, the outermost one.

    Args:
        app: what answers.
        metrics: where requests are counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        sent = _Sent(send, secrets.token_hex(8), is_head=scope["method"] == "HEAD")
        scope.setdefault("state", {})[REQUEST_ID] = sent.id
        if scope["method"] == "HEAD":
            scope["method"], scope["state"][IS_HEAD] = "GET", True
        begun = time.perf_counter()
        try:
            await self._app(scope, receive, sent)
        except ClientLeft:
            pass
        except Exception as error:  # noqa: BLE001 - the edge
            await self._failed(error, scope, receive, sent)
        finally:
            self._count(scope, sent, time.perf_counter() - begun)

    async def _failed(self, error: Exception, scope: Scope, receive: Receive, sent: _Sent) -> None:
        """Answer what nobody raised on purpose."""
        problem = _meant(error)
        if problem.code == "failed":
            where = traceback.extract_tb(error.__traceback__)[-1]
            shown = error if os.environ.get(_DEBUG) else None  # it may hold what was searched for
            place = (type(error).__name__, where.name, where.lineno)
            LOG.error("%s: %s at %s:%s", sent.id, *place, exc_info=shown)
        if not sent.status:
            await response_of(problem, sent.id)(scope, receive, sent)

    def _count(self, scope: Scope, sent: _Sent, seconds: float) -> None:
        """Count a request."""
        route = getattr(scope.get("route"), "path", "none")
        status = str(sent.status or 499)
        self._metrics.requests.observe(seconds, route=route, method=scope["method"], status=status)
        LOG.info("%s %s %s %.0f ms %s", scope["method"], route, status, 1_000 * seconds, sent.id)


class _Sent:
    """Passes on what is sent, with the id of the request; of HEAD no body."""

    def __init__(self, send: Send, id_: str, *, is_head: bool) -> None:
        self._send, self.id, self._is_head = send, id_, is_head
        self.status = 0

    async def __call__(self, message: Message) -> None:
        """Send one message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.id
            for name, value in (*HEADERS.items(), ("Cache-Control", "no-store")):
                headers.setdefault(name, value)
        elif self._is_head:
            message = {**message, "body": b""}
        await self._send(message)


def _meant(error: Exception) -> Problem:
    """Return what a failure means."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, TwinlensError):
        return problem_of(error)
    return Problem("failed", "the server failed; its log names the place by the request's id")

"""The answer that sends a file of the library, whole or in part.

No file can act on a page: nothing is sent as HTML or SVG, browsers may not guess another type, and
what they do not show is saved instead.
"""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from indexer.core.file_types import suffix_of
from indexer.core.types import readable
from indexer.library.item_files import Original
from retrieval.server.conditional import Part, Unsatisfiable, is_known, part_of
from retrieval.server.problems import Problem
from retrieval.server.requests import IS_HEAD

_CHUNK = 1 << 18  # bytes that are read at once

_SHOWN = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".jpg_large"), "image/jpeg"),
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    **dict.fromkeys((".mp4", ".m4v", ".f4v"), "video/mp4"),
    **dict.fromkeys((".mov", ".qt"), "video/quicktime"),
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".ogv": "video/ogg",
}
"""What browsers show, by its suffix."""

_SAVED = {
    **dict.fromkeys((".heic", ".heif", ".hif"), "image/heic"),
    **dict.fromkeys((".tif", ".tiff"), "image/tiff"),
    ".jxl": "image/jxl",
    **dict.fromkeys((".txt", ".md", ".csv", ".jsonl"), "text/plain; charset=utf-8"),
}
_UNKNOWN = "application/octet-stream"

_POLICY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; sandbox"
_FILM_POLICY = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'"
"""A sandboxed page could not ask for the rest of the film that it shows."""


class OriginalResponse(Response):
    """Sends an open file, and closes it, also if the client leaves.

    Args:
        original: the file.
        headers: of the request.

    Raises:
        Problem: the range that is asked for is not in the file; the file is closed.
    """

    def __init__(self, original: Original, headers: Headers) -> None:
        self._file = original.file
        try:
            status, self._part = _asked(original, headers)
        except BaseException:
            self._file.close()
            raise
        super().__init__(status_code=status)
        self.headers.update(_headers(original))
        if status == HTTPStatus.NOT_MODIFIED:
            del self.headers["content-length"]
        else:
            self.headers["content-length"] = str(self._part.length)
        if status == HTTPStatus.PARTIAL_CONTENT:
            self.headers["content-range"] = self._part.content_range(original.size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file; of HEAD nothing is read."""
        rest = 0 if scope["state"].get(IS_HEAD) else self._part.length
        left = asyncio.ensure_future(_left(receive))
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await self._send_body(send, left, rest)
        finally:
            left.cancel()
            self._file.close()

    async def _send_body(self, send: Send, left: asyncio.Future[None], rest: int) -> None:
        """Send the bytes of the part, as long as somebody takes them."""
        if not rest:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        await run_in_threadpool(self._file.seek, self._part.first)
        while rest and not left.done():
            data = await run_in_threadpool(self._file.read, min(_CHUNK, rest))
            if not data:  # the file has been cut; the client notices by its length
                return
            rest -= len(data)
            await send({"type": "http.response.body", "body": data, "more_body": bool(rest)})


async def _left(receive: Receive) -> None:
    """Wait until the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _asked(original: Original, headers: Headers) -> tuple[HTTPStatus, Part]:
    """Return the status of the answer, and the part of the file that it sends."""
    if is_known(headers, original.version):
        return HTTPStatus.NOT_MODIFIED, Part(first=0, length=0)
    try:
        part = part_of(headers, original.size, original.version)
    except Unsatisfiable as error:
        detail = f"the file has {original.size:,} bytes; ask for a range within"
        problem = Problem("usage", detail)
        problem.status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        problem.headers["Content-Range"] = f"bytes */{original.size}"
        raise problem from error
    if part is None:
        return HTTPStatus.OK, Part(first=0, length=original.size)
    return HTTPStatus.PARTIAL_CONTENT, part


def _headers(original: Original) -> dict[str, str]:
    """Return what is said of a file."""
    suffix = suffix_of(original.path)
    kind = _SHOWN.get(suffix) or _SAVED.get(suffix, _UNKNOWN)
    disposition = "inline" if suffix in _SHOWN else "attachment"
    return {
        "content-type": kind,
        "content-disposition": f"{disposition}; {_named(original.path.name)}",
        "content-security-policy": _FILM_POLICY if kind.startswith("video/") else _POLICY,
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "etag": f'"{original.version}"',
        "last-modified": formatdate(max(0.0, original.mtime), usegmt=True),
    }


def _named(name: str) -> str:
    """Return a file name as a header has it: plain for old clients, and in UTF-8."""
    shown = readable(name)
    plain = "".join(char if char.isascii() and char.isprintable() else "_" for char in shown)
    plain = plain.translate(str.maketrans('"\\/%', "____"))
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(shown, safe='')}"

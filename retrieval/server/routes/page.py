"""The page: the files of its folder, at / and below /page, compressed once each."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.datastructures import Headers
from starlette.responses import Response

from retrieval.server.conditional import is_known
from retrieval.server.problems import Problem

FOLDER = Path(__file__).parent.parent / "page"

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""By suffix; no other file is served."""

_REFUSED = re.compile(r"q=0(\.0*)?")

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, kw_only=True)
class PageFile:
    """A file of the page: what it holds, the same compressed by gzip, and a tag of its content."""

    plain: bytes
    packed: bytes
    tag: str


@router.api_route("/", methods=["GET", "HEAD"])
def index(request: Request) -> Response:
    """Return the page."""
    return _answer("index.html", request.headers)


@router.api_route("/favicon.ico", methods=["GET", "HEAD"])
def icon(request: Request) -> Response:
    """Return the icon of the page."""
    return _answer("icon.svg", request.headers)


@router.api_route("/page/{name:path}", methods=["GET", "HEAD"])
def part(name: str, request: Request) -> Response:
    """Return a file of the page.

    Raises:
        Problem: there is none of this name.
    """
    if name not in _names():
        raise Problem("not_found", "there is no such file of the page; open / instead")
    return _answer(name, request.headers)


def _names() -> list[str]:
    """List the files that are served."""
    return [each.name for each in FOLDER.iterdir() if each.suffix in MEDIA_TYPES]


def _answer(name: str, headers: Headers) -> Response:
    """Answer with a file, compressed for who takes that; or say that a copy is still right."""
    path = FOLDER / name
    file = _read(path, path.stat().st_mtime_ns)
    packs = _takes_gzip(headers)
    tag = f"{file.tag}-gzip" if packs else file.tag
    told = {"ETag": f'"{tag}"', "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if is_known(headers, tag):
        return Response(status_code=304, headers=told)
    told |= {"Content-Encoding": "gzip"} if packs else {}
    body = file.packed if packs else file.plain
    return Response(body, headers=told, media_type=MEDIA_TYPES[path.suffix])


@lru_cache(maxsize=128)
def _read(path: Path, _changed: int) -> PageFile:
    """Read and compress a file; again only after it was changed."""
    plain = path.read_bytes()
    tag = hashlib.sha256(plain).hexdigest()[:24]
    return PageFile(plain=plain, packed=gzip.compress(plain, mtime=0), tag=tag)


def _takes_gzip(headers: Headers) -> bool:
    """Tell whether a client names gzip among what it reads, and does not refuse it."""
    for each in headers.get("accept-encoding", "").split(","):
        coding, _, weight = each.partition(";")
        if coding.strip().lower() == "gzip":
            return _REFUSED.fullmatch(weight.replace(" ", "")) is None
    return False

"""Who may ask: this machine's own page and programs, and whoever has the token.

| rule | against |
|---|---|
| the Host must be one of the server's own | DNS rebinding |
| a foreign Origin, and what another site started, are refused | other pages in the browser |
| a body is JSON or a picture | forms of other pages |
| a token, wherever other machines can ask | the network |
| headers of every answer | scripts, frames and other pages that read it |
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from retrieval.server.problems import Problem
from retrieval.server.settings import ServeSettings

COOKIE = "twinlens_token"

OPEN_PATHS = ("/healthz",)
"""What is answered without a token."""

WRITING = ("POST", "PUT", "PATCH", "DELETE")
BODIES = ("application/json", "application/octet-stream", "image/")
"""Content types of bodies; a form of another page has none of them."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "media-src 'self'; connect-src 'self'; font-src 'self'; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What every answer carries; `retrieval.server.requests` adds them."""

_LET_IN = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=/"><title>twinlens</title></head>
<body><p><a href="/">Open the page</a></p></body></html>"""
"""A redirect would keep the cookie back where the link came from another site."""


class Security:
    """ASGI middleware that refuses what may not ask.

    Args:
        app: what answers.
        settings: of the server.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, if it may be.

        Raises:
            Problem: it may not; says why.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = self._checked(scope)
        if token is None:
            await self._app(scope, receive, send)
        else:
            await _let_in(token)(scope, receive, send)

    def _checked(self, scope: Scope) -> str | None:
        """Refuse what may not ask; return the value of the cookie that lets a page in.

        Raises:
            Problem: why.
        """
        headers = Headers(scope=scope)
        self._check_host(headers)
        check_origin(headers, is_page=scope["path"] == "/" and scope["method"] == "GET")
        if scope["method"] in WRITING:
            check_body(headers)
        if self._settings.token is None or scope["path"] in OPEN_PATHS:
            return None
        return self._check_token(scope, headers, self._settings.token)

    def _check_host(self, headers: Headers) -> None:
        """Refuse a host name that is not the server's own."""
        named = headers.getlist("host")
        if len(named) != 1 or not self._is_own(named[0]):
            raise Problem(
                "forbidden",
                "this server does not answer under that host name; allow it with --allow-host",
            )

    def _is_own(self, host: str) -> bool:
        """Tell whether a host is the server's own. An address is no name that can be rebound."""
        name = host_name(host)
        if name in self._settings.allowed_names:
            return True
        return not self._settings.is_local and _is_address(name.strip("[]"))

    def _check_token(self, scope: Scope, headers: Headers, token: str) -> str | None:
        """Refuse a request without the token; see `_checked`."""
        cookie = cookie_of(token)
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if is_same(bearer, token) or is_same(_cookie(headers), cookie):
            return None
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[-1]
        if scope["path"] == "/" and is_same(asked, token):
            return cookie
        raise Problem(
            "unauthorized",
            "the token is missing or wrong; open /?token=TOKEN in the browser, or send the header "
            "Authorization: Bearer TOKEN",
        )


def check_origin(headers: Headers, *, is_page: bool) -> None:
    """Refuse a request that a page of another origin started; a link to the page may be followed.

    Raises:
        Problem: it was.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    own = headers.get("host", "").lower()
    if origin is not None and _host_of(origin.lower()) != own:
        raise Problem("forbidden", "pages of another origin may not use this server")
    followed = is_page and headers.get("sec-fetch-mode") == "navigate"
    if site not in ("same-origin", "none") and not followed:
        raise Problem("forbidden", "another site may not use this server")


def _host_of(origin: str) -> str:
    """Return the host and port of an origin; empty of what is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def check_body(headers: Headers) -> None:
    """Refuse a body that is neither JSON nor a picture.

    Raises:
        Problem: it is neither.
    """
    empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not empty and not kind.startswith(BODIES):
        raise Problem("unsupported_type", "send application/json, or a picture as image/*")


def host_name(host: str) -> str:
    """Return the name in a Host header, without the port, in lower case."""
    name, _, port = host.rpartition(":")
    is_parted = name and port.isdigit() and (name.endswith("]") or ":" not in name)
    return (name if is_parted else host).lower()


def cookie_of(token: str) -> str:
    """Return what the page's cookie holds: it lets in, and does not tell the token."""
    return hmac.new(token.encode(), b"cookie of the page", hashlib.sha256).hexdigest()


def is_same(given: str, wanted: str) -> bool:
    """Compare two secrets in a time that does not tell how much of them is alike."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def _cookie(headers: Headers) -> str:
    """Return the token that the page's cookie brings."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _let_in(cookie: str) -> HTMLResponse:
    """Return the answer that gives the page its cookie."""
    answer = HTMLResponse(_LET_IN)
    answer.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", path="/")
    return answer


def _is_address(name: str) -> bool:
    """Tell whether a host is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

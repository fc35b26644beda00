"""Who may ask the server: one test for each rule of `retrieval.server.security`."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.core.errors import UsageError
from retrieval.server.security import COOKIE, cookie_of, host_name
from retrieval.server.settings import ServeSettings
from tests.retrieval.server.colours import Answer, Running, running

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def closed(coloured: Path) -> Iterator[Running]:
    """A server that wants a token."""
    with running(coloured, settings=ServeSettings(port=0, token=TOKEN)) as server:
        yield server


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:{port}", "[::1]:{port}"])
def test_its_own_names_are_answered(site: Running, host: str) -> None:
    assert site.get("/healthz", host=host.format(port=site.port)).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "192.0.2.1"]
)
def test_a_foreign_host_name_is_refused(site: Running, host: str) -> None:
    for path in ("/", "/healthz", "/api/v1/search?q=red", "/openapi.json", "/page/icon.svg"):
        answer = site.get(path, host=host)
        assert (answer.status, answer.code) == (403, "forbidden")


def test_two_host_names_are_refused(site: Running) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert site.raw(head).startswith(b"HTTP/1.1 400 ")


def test_a_name_that_was_allowed_is_answered(coloured: Path) -> None:
    settings = ServeSettings(port=0, names=("photos.example",))
    with running(coloured, settings=settings) as server:
        assert server.get("/healthz", host="Photos.Example").status == 200
        assert server.get("/healthz", host="evil.example").code == "forbidden"


@pytest.mark.parametrize(
    ("host", "name"),
    [("A.b:80", "a.b"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("a", "a"), ("::1", "::1")],
)
def test_host_names_are_read_without_their_port(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "x", "http://[", ""]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_foreign_origin_is_refused(site: Running, method: str, origin: str) -> None:
    answer = site.ask(method, "/api/v1/search", origin=origin)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert "access-control-allow-origin" not in answer.headers


def test_its_own_origin_is_answered(site: Running) -> None:
    own = f"http://127.0.0.1:{site.port}"
    assert site.post("/api/v1/search", {"terms": [{"text": "red"}]}, origin=own).status == 200


def test_there_is_no_cors(site: Running) -> None:
    asked = {"origin": "http://evil.example", "access_control_request_method": "POST"}
    answer = site.ask("OPTIONS", "/api/v1/search", **asked)
    assert answer.code == "forbidden"
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("fetch_site", ["cross-site", "same-site"])
def test_what_another_site_started_is_refused(site: Running, fetch_site: str) -> None:
    for path in ("/api/v1/items/1", "/page/icon.svg", "/"):
        assert site.get(path, sec_fetch_site=fetch_site).code == "forbidden"


def test_a_link_to_the_page_may_be_followed(site: Running) -> None:
    followed = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert site.get("/", **followed).status == 200
    assert site.get("/api/v1/search?q=red", **followed).code == "forbidden"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_the_body_of_a_form_is_refused(site: Running, kind: str) -> None:
    answer = site.ask("POST", "/api/v1/search", b'{"terms": []}', content_type=kind)
    assert (answer.status, answer.code) == (415, "unsupported_type")


def test_without_the_token_nothing_is_answered(closed: Running) -> None:
    for path in ("/", "/api/v1/search?q=red", "/openapi.json", "/metrics", "/readyz", "/page/x"):
        answer = closed.get(path)
        assert (answer.status, answer.code) == (401, "unauthorized")
    assert closed.get("/healthz").status == 200


@pytest.mark.parametrize("given", [TOKEN[:-1], TOKEN + "x", "", TOKEN.upper()])
def test_a_wrong_token_is_refused(closed: Running, given: str) -> None:
    assert closed.get("/readyz", authorization=f"Bearer {given}").code == "unauthorized"
    assert closed.get("/readyz", cookie=f"{COOKIE}={given}").code == "unauthorized"
    assert closed.get(f"/?token={given}").code == "unauthorized"


def test_the_header_lets_programs_in(closed: Running) -> None:
    answer = closed.get("/api/v1/search?q=red", authorization=f"Bearer {TOKEN}")
    assert answer.status == 200


def test_the_address_with_the_token_gives_the_page_a_cookie(closed: Running) -> None:
    answer = closed.get(f"/?token={TOKEN}")
    assert answer.status == 200
    cookie = answer.headers["set-cookie"]
    assert cookie == f"{COOKIE}={cookie_of(TOKEN)}; HttpOnly; Path=/; SameSite=strict"
    assert TOKEN not in cookie
    assert closed.get("/api/v1/libraries", cookie=cookie.partition(";")[0]).status == 200
    assert closed.get(f"/readyz?token={TOKEN}").code == "unauthorized"  # the page alone


def test_other_machines_are_let_in_by_a_token_alone() -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::", "photos.example"):
        with pytest.raises(UsageError, match="needs a token"):
            ServeSettings(host=host)
        assert ServeSettings(host=host, token=TOKEN).is_local is False
    for host in ("127.0.0.1", "127.0.0.2", "localhost", "::1"):
        assert ServeSettings(host=host).is_local


@pytest.mark.parametrize("token", ["short", "", "ä" * 20])
def test_a_token_is_long_and_plain(token: str) -> None:
    with pytest.raises(UsageError, match="a token needs"):
        ServeSettings(token=token)


def test_on_the_network_an_address_is_a_name_of_its_own(coloured: Path) -> None:
    settings = ServeSettings(port=0, host="0.0.0.0", token=TOKEN)
    with running(coloured, settings=settings) as server:
        assert server.get("/healthz", host="192.0.2.1").status == 200
        assert server.get("/healthz", host="evil.example").code == "forbidden"


def _guarded(answer: Answer) -> None:
    """Check the headers of an answer."""
    policy = answer.headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'none'"
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert len(answer.headers["x-request-id"]) == 16
    assert "server" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/page/icon.svg", "/api/v1/search?q=red", "/nothing", "/x"])
def test_every_answer_is_guarded(site: Running, path: str) -> None:
    _guarded(site.get(path))
    _guarded(site.get(path, host="evil.example"))
    assert site.get("/api/v1/search?q=red").headers["cache-control"] == "no-store"


def test_what_is_no_http_is_guarded_too(site: Running) -> None:
    head, _, body = site.raw(b"nonsense\r\n\r\n").partition(b"\r\n\r\n")
    assert b"default-src 'none'" in head
    assert b"application/problem+json" in head
    assert b'"code": "usage"' in body


@pytest.mark.parametrize(
    "path",
    ["/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page//etc/passwd", "/page/"],
)
def test_no_file_but_those_of_the_page_is_served(site: Running, path: str) -> None:
    answer = site.get(path)
    assert (answer.status, answer.code) == (404, "not_found")


def test_no_line_says_what_was_searched_for(
    coloured: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with running(coloured) as server:
        server.get("/api/v1/search?q=my-secret-words")
        server.post("/api/v1/search", {"terms": [{"text": "my-secret-words"}]})
        server.get("/my-secret-words")
        server.get("/api/v1/search?q=red&limit=my-secret-words")
    assert [line for line in caplog.messages if "/api/v1/search" in line]
    assert "secret" not in caplog.text


def test_only_this_machine_is_listened_to(site: Running) -> None:
    with socket.socket() as connection:
        connection.settimeout(5)
        name = socket.gethostbyname(socket.gethostname())
        if name.startswith("127."):
            pytest.skip("this machine has no other address")
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            connection.connect((name, site.port))

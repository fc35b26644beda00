"""The files of the page: what is served, how it is compressed, and who has it already."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import retrieval
from tests.retrieval.server.colours import Running

PAGE = Path(retrieval.__file__).parent / "server" / "page"
FILES = sorted(each.name for each in PAGE.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_page_is_served_as_it_is(site: Running, name: str) -> None:
    content = (PAGE / name).read_bytes()
    plain = site.get(f"/page/{name}")
    packed = site.get(f"/page/{name}", accept_encoding="br, gzip;q=0.8")
    assert (plain.status, plain.body) == (200, content)
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == content
    for answer in (plain, packed):
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["content-length"] == str(len(answer.body))


def test_the_page_and_its_icon_have_addresses_of_their_own(site: Running) -> None:
    assert site.get("/").body == (PAGE / "index.html").read_bytes()
    assert site.get("/").headers["content-type"] == "text/html; charset=utf-8"
    assert site.get("/favicon.ico").body == (PAGE / "icon.svg").read_bytes()
    assert site.get("/page/main.js").headers["content-type"] == "text/javascript; charset=utf-8"
    assert site.get("/page/page.css").headers["content-type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize("coding", ["", "gzip"])
def test_who_has_a_file_gets_304(site: Running, coding: str) -> None:
    tag = site.get("/page/main.js", accept_encoding=coding).headers["etag"]
    again = site.get("/page/main.js", accept_encoding=coding, if_none_match=tag)
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    other = site.get("/page/main.js", accept_encoding=coding, if_none_match='"other"')
    assert other.status == 200


@pytest.mark.parametrize("coding", ["gzip;q=0", "gzip; q=0.000", "br", "x-gzip", "identity"])
def test_who_does_not_take_gzip_gets_none(site: Running, coding: str) -> None:
    answer = site.get("/page/main.js", accept_encoding=coding)
    assert "content-encoding" not in answer.headers
    assert answer.body == (PAGE / "main.js").read_bytes()


@pytest.mark.parametrize("name", ["nothing.js", "main", "", "..", "page/main.js", "__init__.py"])
def test_no_other_file_is_served(site: Running, name: str) -> None:
    answer = site.get(f"/page/{name}")
    assert (answer.status, answer.code) == (404, "not_found")

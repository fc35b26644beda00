"""What stands around a search, over HTTP: the same answers as from Python, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from retrieval.api import PhotoLibrary
from tests.retrieval.server.colours import ColourPool, Running


@pytest.fixture
def library(coloured: Path) -> PhotoLibrary:
    return PhotoLibrary.open(coloured, create=False, models=ColourPool())


def test_facets_are_those_of_the_library(site: Running, library: PhotoLibrary) -> None:
    told = site.get("/api/v1/facets?q=red+type:png").json
    assert told["total"] == 5
    assert set(told["facets"]) == {
        "dates", "places", "cameras", "folders", "keywords", "types", "ratings", "orientations",
    }  # fmt: skip
    assert told["facets"]["types"] == [
        {"value": "png", "label": "png", "filter": "type:png", "count": 5, "selected": True,
         "children": []}
    ]  # fmt: skip
    assert told["more"] == {}
    only = site.get("/api/v1/facets?for=texts&group=types&group=folders&limit=1").json
    assert {group: len(values) for group, values in only["facets"].items()} == {
        "types": 1, "folders": 1,
    }  # fmt: skip
    assert only["total"] == 2
    library.close()


@pytest.mark.parametrize(
    "path",
    ["facets?q=after:yesterday", "facets?group=colours", "facets?limit=0", "ids?limit=0",
     "ids?limit=16385", "ids?cursor=abc", "ids?q=type:nothing", "count?threshold=2",
     "suggest?at=-1",
     "count?for=films", f"suggest?q={'a' * 2001}", "duplicates?alike=2"],
)  # fmt: skip
def test_what_is_wrong_is_said(site: Running, path: str) -> None:
    answer = site.get(f"/api/v1/{path}")
    assert answer.status in (400, 422)
    assert answer.code == "usage"


def test_completions_say_what_they_replace(site: Running) -> None:
    told = site.get("/api/v1/suggest?q=a+ty+dog&at=4").json
    assert told["suggestions"] == [
        {"kind": "filter", "label": "type: of a file type", "insert": "type:",
         "from": 2, "to": 4, "count": None},
    ]  # fmt: skip
    (png,) = site.get("/api/v1/suggest?q=type:p").json["suggestions"]
    assert (png["insert"], png["count"]) == ("type:png", 5)


@pytest.mark.parametrize("query", ["", "red", "type:png", "item:1", "blue type:png"])
def test_count_and_ids_are_those_of_the_library(
    site: Running, library: PhotoLibrary, query: str
) -> None:
    with library:
        expected = list(library.ids(library.query(query)).ids)
    written = quote(query)
    assert site.get(f"/api/v1/count?q={written}").json == {"count": len(expected), "exact": True}
    found, cursor = [], ""
    while True:
        page = site.get(f"/api/v1/ids?q={written}&limit=2{cursor}").json
        assert page["total"] == len(expected)
        found += page["ids"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == expected


def test_a_cursor_is_good_for_its_question_alone(site: Running) -> None:
    cursor = site.get("/api/v1/ids?limit=2").json["next"]
    assert site.get(f"/api/v1/ids?limit=1&cursor={cursor}").status == 200
    answer = site.get(f"/api/v1/ids?q=red&limit=2&cursor={cursor}")
    assert (answer.status, answer.code) == (400, "usage")


def test_all_that_matches_is_exported(site: Running, library: PhotoLibrary) -> None:
    with library:
        hits = library.items(library.ids("type:png").ids)
    answer = site.post("/api/v1/export", {"q": "type:png", "as": "list"})
    assert answer.body.splitlines() == [os.fsencode(hit.path) for hit in hits]
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="photos-')
    answer = site.post("/api/v1/export", {"q": "type:png", "as": "zip"})
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    assert archive.testzip() is None
    for hit in hits:
        assert archive.read(hit.path.name) == hit.path.read_bytes()
    assert answer.headers["content-type"] == "application/zip"


def test_items_are_exported_by_their_ids(site: Running) -> None:
    ids = site.get("/api/v1/ids?q=type:png").json["ids"][:2]
    table = site.post("/api/v1/export", {"ids": ids, "as": "csv"}).body.decode()
    assert [int(row["id"]) for row in csv.DictReader(io.StringIO(table))] == ids
    lines = site.post("/api/v1/export", {"ids": [*ids, 10**9], "as": "json"}).body.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids
    assert site.post("/api/v1/export", {"ids": []}).body == b""


@pytest.mark.parametrize(
    "body",
    [{"as": "tar"}, {"ids": ["/etc/passwd"]}, {"ids": [-1]}, {"path": "/etc/passwd"},
     {"q": "after:never"}, {"for": "films"}, []],
)  # fmt: skip
def test_what_cannot_be_exported(site: Running, body: object) -> None:
    answer = site.post("/api/v1/export", body)
    assert answer.status in (400, 422)
    assert answer.code == "usage"


def test_an_export_is_asked_for_by_the_page_itself_alone(site: Running) -> None:
    assert site.get("/api/v1/export").status == 405
    answer = site.post("/api/v1/export", {"q": ""}, origin="http://evil.example")
    assert (answer.status, answer.code) == (403, "forbidden")
    form = site.ask("POST", "/api/v1/export", b"q=", content_type="text/plain")
    assert (form.status, form.code) == (415, "unsupported_type")


def test_a_file_that_left_the_library_stays_out(
    site: Running, coloured: Path, tmp_path: Path
) -> None:
    photo = coloured.parent / "photos" / "green.png"
    kept = tmp_path / "green.png"
    photo.rename(kept)
    (tmp_path / "secret.png").write_bytes(b"secret")
    photo.symlink_to(tmp_path / "secret.png")
    try:
        body = site.post("/api/v1/export", {"q": "", "as": "zip"}).body
    finally:
        photo.unlink()
        kept.rename(photo)
    archive = zipfile.ZipFile(io.BytesIO(body))
    assert "green.png" not in archive.namelist()
    rows = csv.DictReader(io.StringIO(archive.read("manifest.csv").decode()))
    (row,) = [row for row in rows if row["path"] == str(photo)]
    assert row["problem"]
    assert b"secret" not in body.replace(b"secret.png", b"")


def test_what_a_library_holds(site: Running, coloured: Path) -> None:
    told = site.get("/api/v1/info").json
    assert (told["photos"], told["texts"], told["model"]) == (5, 2, "colours")
    assert told["folders"] == [str(coloured.parent / "photos")]


@pytest.mark.parametrize(
    "path", ["facets", "suggest", "count", "ids", "info", "duplicates", "names"]
)
def test_an_unknown_library_is_not_found(site: Running, path: str) -> None:
    answer = site.get(f"/api/v1/{path}?library=other")
    assert (answer.status, answer.code) == (404, "not_found")

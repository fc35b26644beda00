"""Search over HTTP: the answers of `PhotoLibrary`, page by page, and never a file of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from retrieval.api import PhotoLibrary
from retrieval.server.cursors import cursor_of
from retrieval.server.finding import MOST_DATED
from retrieval.server.schemas import SearchParameters
from tests.fakes import draw
from tests.retrieval.server.colours import ColourPool, Running, drawn, index, paths, running


@pytest.fixture(scope="module")
def library(coloured: Path) -> Iterator[PhotoLibrary]:
    """The library behind the server, opened beside it."""
    with PhotoLibrary.open(coloured, create=False, models=ColourPool()) as opened:
        yield opened


def search(site: Running, q: str, **more: object) -> list[str]:
    """The names that a written query finds."""
    told = "".join(f"&{name}={quote(str(value))}" for name, value in more.items())
    return paths(site.get(f"/api/v1/search?q={quote(q)}{told}"))


@pytest.mark.parametrize(
    ("q", "how"),
    [
        ("red", {}),
        ("red - blue", {}),
        ("2:red + blue", {}),
        ("red type:png", {"limit": 2}),
        ('"red without blue"', {}),
        ("type:png", {}),
        ("green", {"threshold": 0.5}),
    ],
)
def test_a_written_query_finds_what_the_library_does(
    site: Running, library: PhotoLibrary, q: str, how: dict[str, object]
) -> None:
    k = {"k": how.get("limit", 60), **{n: v for n, v in how.items() if n != "limit"}}
    wanted = library.search(q, **k)  # type: ignore[arg-type]
    told = site.get(f"/api/v1/search?q={quote(q)}" + "".join(f"&{n}={v}" for n, v in how.items()))
    answer = told.json
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in wanted]
    assert [hit["rank"] for hit in answer["hits"]] == [hit.rank for hit in wanted]
    assert [hit["score"] for hit in answer["hits"]] == [round(hit.score, 6) for hit in wanted]
    assert answer["total"] == wanted.total
    assert answer["hints"] == list(wanted.hints)
    assert set(answer["took_ms"]) == set(wanted.took_ms)


def test_terms_find_what_the_same_query_does(site: Running) -> None:
    terms = [{"text": "red", "weight": 2}, {"text": "blue", "weight": -1}]
    spelled = site.post("/api/v1/search", {"terms": terms, "where": ["type:png"]}).json
    written = site.get(f"/api/v1/search?q={quote('2:red - blue type:png')}").json
    assert spelled["hits"] == written["hits"]
    assert spelled["query"]["filters"] == ["type:png"]
    assert [(term["text"], term["weight"]) for term in spelled["query"]["terms"]] == [
        ("red", 2.0),
        ("blue", -1.0),
    ]


def test_a_photo_of_the_library_is_a_term(site: Running, library: PhotoLibrary) -> None:
    red = library.search("red").hits[0]
    by_path = library.search(image=red.path).hits
    assert by_path.pop(0).id == red.id  # a term that is a photo of the library does not find itself
    by_term = site.get(f"/api/v1/search?q=item:{red.id}").json
    assert [hit["id"] for hit in by_term["hits"]] == [hit.id for hit in by_path]
    # The stored vector has 16 bits.
    assert [hit["score"] for hit in by_term["hits"]] == pytest.approx(
        [hit.score for hit in by_path], abs=1e-3
    )
    assert by_term["query"]["terms"] == [
        {"text": None, "item": red.id, "picture": None, "weight": 1.0}
    ]
    posted = site.post("/api/v1/search", {"terms": [{"item": red.id}]}).json
    assert posted["hits"] == by_term["hits"]
    both = search(site, f"item:{red.id} - red + blue")
    assert both[0] == "blue.png"


def test_a_text_of_the_library_stands_for_its_words(site: Running) -> None:
    (door, *_) = site.get("/api/v1/search?q=red&for=texts").json["hits"]
    assert door["text"] == "a red door"
    assert search(site, f"item:{door['id']}")[0] == "red.png"


def test_what_is_like_an_item_leaves_it_out(site: Running) -> None:
    red = site.get("/api/v1/search?q=red").json["hits"][0]
    found = paths(site.get(f"/api/v1/items/{red['id']}/similar"))
    assert found[0] == "red-blue.png"
    assert "red.png" not in found
    assert len(found) == 4
    first = site.get(f"/api/v1/items/{red['id']}/similar?limit=3").json
    rest = site.get(f"/api/v1/items/{red['id']}/similar?limit=3&cursor={first['next']}")
    assert [hit["name"] for hit in first["hits"]] + paths(rest) == found


def test_an_item_is_told_by_its_id(site: Running, coloured: Path) -> None:
    red = site.get("/api/v1/search?q=red").json["hits"][0]
    item = site.get(f"/api/v1/items/{red['id']}").json
    file = coloured.parent / "photos" / "red.png"
    assert (item["path"], item["name"], item["folder"]) == (
        str(file),
        "red.png",
        str(file.parent),
    )
    assert (item["width"], item["height"]) == (64, 48)
    assert (item["bytes"], item["reachable"]) == (file.stat().st_size, True)
    assert item["frames"] == [{"id": red["id"], "time": None}]
    answer = site.get("/api/v1/items/987654")
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("mark", ["", "./", "../", "file://", "~/"])
def test_no_path_is_read(site: Running, tmp_path: Path, mark: str) -> None:
    secret = draw(tmp_path / "secret.png", "green")
    (tmp_path / "secret.txt").write_text("green", encoding="utf-8")
    for file in (secret, tmp_path / "secret.txt", Path("/etc/passwd"), Path("/no/such/file")):
        written = f"{mark}{file}"
        for q in (written, f"red + {written}", f"red without {written}", f'"{written}"'):
            answer = site.get(f"/api/v1/search?q={quote(q)}")
            assert answer.status == 200, answer.body
            told = answer.json
            assert [term for term in told["query"]["terms"] if term["text"] is None] == []
            assert all("is also a file" not in hint for hint in told["hints"])
        by_term = site.post("/api/v1/search", {"terms": [{"text": written}]}).json
        assert [term["text"] for term in by_term["query"]["terms"]] == [written]
        # "green" is in no word of it: the query is that of unknown words
        unknown = site.post("/api/v1/search", {"terms": [{"text": "nothing at all"}]}).json
        assert [hit["score"] for hit in by_term["hits"]] == [
            hit["score"] for hit in unknown["hits"]
        ]


def test_a_query_names_no_reranker(site: Running) -> None:
    assert site.get("/api/v1/search?q=red&rerank=/tmp/model").code == "usage"


def test_without_a_query_all_is_found(site: Running) -> None:
    answer = site.get("/api/v1/search?limit=2").json
    assert (answer["total"], answer["complete"], len(answer["hits"])) == (5, True, 2)
    assert answer["by_date"]
    assert site.post("/api/v1/search", {"limit": 2}).json["hits"] == answer["hits"]


def test_filters_alone_are_counted_exactly(tmp_path: Path) -> None:
    drawn(tmp_path / "photos", [f"red-blue-{number}" for number in range(130)])
    index(tmp_path / "library", tmp_path / "photos")
    with running(tmp_path / "library") as site:
        answer = site.get("/api/v1/search?q=type:png&limit=10").json
        assert (answer["total"], answer["complete"]) == (130, True)
        assert _all_pages(site, "/api/v1/search?q=type:png&limit=50") == [
            hit["id"] for hit in site.get("/api/v1/search?q=type:png&limit=1000").json["hits"]
        ]
        words = _all_pages(site, "/api/v1/search?q=red&limit=17")
        assert words == [
            hit["id"] for hit in site.get("/api/v1/search?q=red&limit=1000").json["hits"]
        ]
        assert len(set(words)) == 130
        nothing = site.get("/api/v1/search?q=type:jpg").json
        assert (nothing["hits"], nothing["nothing"]) == ([], {"nearest": None})
        assert nothing["message"] == "nothing matches: no photo passes the filters type:jpg"


def _all_pages(site: Running, address: str) -> list[int]:
    """The ids on all pages."""
    ids: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = site.get(f"{address}&cursor={cursor}").json
        ids += [hit["id"] for hit in answer["hits"]]
        cursor = answer["next"]
    return ids


def test_a_page_follows_the_one_before_whatever_is_indexed_between(tmp_path: Path) -> None:
    names = [f"red-blue-{number:02}" for number in range(20)]
    drawn(tmp_path / "photos", names)
    index(tmp_path / "library", tmp_path / "photos")
    with running(tmp_path / "library") as site:
        whole = paths(site.get("/api/v1/search?q=red+type:png"))
        first = site.get("/api/v1/search?q=red+type:png&limit=10").json
        drawn(tmp_path / "photos", ["red"])  # is found before all others
        (tmp_path / "photos" / whole[3]).unlink()
        index(tmp_path / "library", tmp_path / "photos")
        rest = site.get(f"/api/v1/search?q=red+type:png&limit=10&cursor={first['next']}")
        assert [hit["name"] for hit in first["hits"]] + paths(rest) == whole


@pytest.mark.parametrize("cursor", ["x", "AAAAAAAAAAAAAAAA", "ä", "e30", "=" * 9])
def test_a_cursor_of_another_search_is_refused(site: Running, cursor: str) -> None:
    answer = site.get(f"/api/v1/search?q=red&cursor={quote(cursor)}")
    assert (answer.status, answer.code) == (400, "usage")
    good = site.get("/api/v1/search?q=red&limit=2").json["next"]
    assert site.get(f"/api/v1/search?q=red&limit=1&cursor={good}").status == 200
    assert site.get(f"/api/v1/search?q=blue&limit=1&cursor={good}").code == "usage"
    assert site.get(f"/api/v1/search?q=red&sort=date&cursor={good}").code == "usage"


@pytest.mark.parametrize("offset", [-1, 10**7 + 1, 10**30, "1", None, [1]])
def test_a_cursor_that_someone_wrote_reaches_nothing_else(site: Running, offset: object) -> None:
    question = SearchParameters(q="red").question
    made = cursor_of({"offset": offset, "after": 1}, question)
    answer = site.get(f"/api/v1/search?q=red&cursor={made}")
    assert (answer.status, answer.code) == (400, "usage")
    far = cursor_of({"offset": 10**7, "after": 1}, question)
    assert site.get(f"/api/v1/search?q=red&cursor={far}").json["hits"] == []


def test_hits_are_ordered_by_date(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    years = {"red-1": "2001", "red-2": "2003", "red-3": "2002", "blue-4": "2004"}
    drawn(photos, years)
    for name, year in years.items():
        (photos / f"{name}.xmp").write_text(
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-'
            'rdf-syntax-ns#"><rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" '
            f'exif:DateTimeOriginal="{year}-01-01T00:00:00"/></rdf:RDF></x:xmpmeta>',
            encoding="utf-8",
        )
    index(tmp_path / "library", photos)
    with running(tmp_path / "library") as site:
        newest = ["blue-4.png", "red-2.png", "red-3.png", "red-1.png"]
        assert search(site, "type:png", sort="date") == newest
        assert search(site, "type:png", sort="oldest") == newest[::-1]
        assert search(site, "red", sort="date", threshold=0) == newest
        assert search(site, "red", sort="oldest", threshold=0) == newest[::-1]
        first = site.get("/api/v1/search?q=red&sort=oldest&threshold=0&limit=3").json
        assert first["by_date"]
        rest = f"/api/v1/search?q=red&sort=oldest&threshold=0&limit=3&cursor={first['next']}"
        assert paths(site.get(rest)) == newest[:1]
    assert MOST_DATED == 1_000


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/api/v1/search?q=after:never", "'never' is not a date"),
        ("/api/v1/search?q=red+%2B", "has no term after it"),
        ("/api/v1/search?q=item:999", "the library has no item 999"),
        ("/api/v1/search?q=picture:abc", "there is no picture 'abc'"),
        ("/api/v1/search?q=http://evil.example/x.png", "address on the web"),
        ("/api/v1/search?q=red&limit=1001", "limit: Input should be less than or equal to 1000"),
        ("/api/v1/search?q=red&sort=best", "sort: Input should be 'score'"),
        ("/api/v1/search?q=red&library=other", "no library is called 'other'; there are: library"),
        ("/api/v1/nothing", "there is nothing at this path"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(site: Running, path: str, says: str) -> None:
    answer = site.get(path)
    assert answer.code in ("usage", "not_found")
    assert says in answer.json["detail"]


def test_another_method_is_refused(site: Running) -> None:
    answer = site.ask("DELETE", "/api/v1/search")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"terms": [{}]}, 400),
        ({"terms": [{"text": "a", "item": 1}]}, 400),
        ({"terms": [{"text": " "}]}, 400),
        ({"terms": [{"text": "a", "weight": 0}]}, 400),
        ({"where": ["words"]}, 400),
        ({"unknown": 1}, 422),
        ([], 422),
    ],
)
def test_a_wrong_body_says_what_is_wrong(site: Running, body: object, status: int) -> None:
    answer = site.post("/api/v1/search", body)
    assert (answer.status, answer.code) == (status, "usage")


def test_what_is_no_json_is_refused(site: Running) -> None:
    answer = site.ask("POST", "/api/v1/search", b"{", content_type="application/json")
    assert (answer.status, answer.code) == (422, "usage")


def test_head_answers_without_a_body(site: Running) -> None:
    answer = site.ask("HEAD", "/healthz")
    assert (answer.status, answer.body) == (200, b"")


def test_the_description_is_whole(site: Running) -> None:
    told = site.get("/openapi.json").json
    assert told["openapi"].startswith("3.1")
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            assert operation["operationId"], (path, method)
            problem = operation["responses"]["4XX"]["content"]["application/problem+json"]
            assert problem["schema"]["$ref"].endswith("/ProblemModel")
    assert site.get("/docs").code == "not_found"

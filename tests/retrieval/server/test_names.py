"""Learned names over HTTP: taught from items in a process of its own, listed, and forgotten."""

from __future__ import annotations

import http.client
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import skimage

from retrieval.api import PhotoLibrary
from retrieval.concepts.store import Concept, Concepts
from retrieval.server import learning
from tests.retrieval.server.colours import drawn, index, running
from tests.retrieval.server.test_events import listening

DATA = Path(skimage.__file__).parent / "data"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A library of colours, which no text tower can learn for."""
    drawn(tmp_path / "photos", ("red", "blue"))
    (tmp_path / "photos" / "note.txt").write_text("a red door\n", encoding="utf-8")
    index(tmp_path / "library", tmp_path / "photos")
    return tmp_path / "library"


def keep(library: Path, name: str, fingerprint: str) -> None:
    """Store a learned name."""
    Concepts(library).save(
        Concept(name=name, tokens=np.zeros((1, 2), dtype=np.float32), like="dog", model="colours",
                fingerprint=fingerprint, photos=5, steps=1, seed=0)
    )  # fmt: skip


def test_names_are_listed_and_forgotten(own: Path) -> None:
    with running(own) as server:
        assert server.get("/api/v1/names").json == {"names": []}
        keep(own, "Rex", "c0105")
        keep(own, "Ünsal / Zoë", "another")
        told = server.get("/api/v1/names").json["names"]
        assert told == [
            {"name": "Rex", "like": "dog", "photos": 5, "model": "colours", "usable": True},
            {"name": "Ünsal / Zoë", "like": "dog", "photos": 5, "model": "colours",
             "usable": False},
        ]  # fmt: skip
        assert server.ask("DELETE", "/api/v1/names/rex").status == 204
        assert server.ask("DELETE", "/api/v1/names/%C3%9Cnsal%20%2F%20Zo%C3%AB").status == 204
        assert server.get("/api/v1/names").json == {"names": []}
        gone = server.ask("DELETE", "/api/v1/names/Rex")
        assert (gone.status, gone.code) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "the", "items": [1]}, "common word"),
        ({"name": "  ", "items": [1]}, "empty"),
        ({"name": "Rex", "items": []}, "items"),
        ({"name": "Rex", "items": ["/etc/passwd"]}, "items"),
        ({"name": "Rex", "items": [1], "path": "/etc"}, "path"),
    ],
)
def test_what_cannot_be_learned(own: Path, body: object, said: str) -> None:
    with running(own) as server:
        answer = server.post("/api/v1/names", body)
        assert answer.code == "usage"
        assert said in answer.json["detail"]


def test_the_extra_that_is_missing_is_named_before_any_work(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval._extras.has_torch", lambda: False)
    monkeypatch.setattr("retrieval.server.learning._learned", None)
    with running(own) as server:
        answer = server.post("/api/v1/names", {"name": "Rex", "items": [1]})
    assert (answer.status, answer.code) == (501, "extra_missing")
    assert "pip install 'twinlens[torch]'" in answer.json["detail"]


def test_who_writes_from_elsewhere_is_refused(own: Path) -> None:
    with running(own) as server:
        for method, path in (("POST", "/api/v1/names"), ("DELETE", "/api/v1/names/Rex")):
            answer = server.ask(method, path, origin="http://evil.example")
            assert (answer.status, answer.code) == (403, "forbidden")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of three photos with the built-in model."""
    home = tmp_path_factory.mktemp("real")
    (home / "photos").mkdir()
    for name in ("chelsea.png", "coffee.png", "moon.png"):
        (home / "photos" / name).write_bytes((DATA / name).read_bytes())
    (home / "photos" / "note.txt").write_text("a cat\n", encoding="utf-8")
    with PhotoLibrary.open(home / "library", "builtin") as library:
        library.index(home / "photos")
    return home / "library"


def item(library: Path, name: str) -> int:
    """The id of a file's first item."""
    with PhotoLibrary.open(library, create=False) as opened:
        every = [
            *opened.ids(opened.query("")).ids,
            *opened.ids(opened.query(""), target="texts").ids,
        ]
        return next(hit.id for hit in opened.items(every) if hit.path.name == name)


def test_a_name_is_learned_from_items(real: Path) -> None:
    cat, note = item(real, "chelsea.png"), item(real, "note.txt")
    with running(real) as server, listening(server) as stream:
        answer = server.post(
            "/api/v1/names", {"name": "Chelsea", "items": [cat, note, 10**6], "like": "cat"}
        )
        assert answer.status == 200, answer.body
        told = answer.json
        assert (told["name"], told["like"], told["photos"]) == ("Chelsea", "cat", 1)
        assert (told["replaced"], len(told["skipped"])) == (False, 2)
        step = stream.next("learning")
        assert (step["learns"], step["done"], step["total"]) == ("Chelsea", 1, 60)
        (listed,) = server.get("/api/v1/names").json["names"]
        assert (listed["name"], listed["usable"]) == ("Chelsea", True)
        nothing = server.post("/api/v1/names", {"name": "Rex", "items": [note]})
        assert (nothing.status, nothing.code) == (400, "usage")
        assert "no photo to learn from" in nothing.json["detail"]


def test_one_at_a_time_and_none_that_nobody_waits_for(
    real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps({"name": "Left", "items": [item(real, "moon.png")], "like": "moon"})
    started: list[learning.asyncio.subprocess.Process] = []
    make = learning.asyncio.create_subprocess_exec

    async def noted(*args: object, **how: object) -> object:
        started.append(await make(*args, **how))  # type: ignore[arg-type]
        return started[-1]

    monkeypatch.setattr(learning.asyncio, "create_subprocess_exec", noted)
    with running(real) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/api/v1/names", body, headers)
        _wait_for(lambda: bool(started))
        second = server.post("/api/v1/names", json.loads(body))
        assert (second.status, second.code) == (503, "busy")
        connection.close()  # the page was closed
        _wait_for(lambda: started[0].returncode is not None)
        _wait_for(lambda: not server.server.app.state.learning._busy)
    assert started[0].returncode == -9
    with pytest.raises(ProcessLookupError):
        os.kill(started[0].pid, 0)
    assert [each.name for each in Concepts(real).read()[0]] == ["Chelsea"]


def _wait_for(condition: object) -> None:
    """Wait until something is so."""
    until = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_process_that_ends_is_an_error(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "_environment", lambda: {"PYTHONHOME": "/nowhere"})
    with running(own) as server:
        answer = server.post("/api/v1/names", {"name": "Rex", "items": [1]})
        assert (answer.status, answer.code) == (500, "failed")
        assert "the process that learns ended" in answer.json["detail"]


def test_an_error_of_the_process_keeps_its_meaning(own: Path) -> None:
    with running(own) as server:
        answer = server.post("/api/v1/names", {"name": "Rex", "items": [1]})
        assert answer.status >= 400
        assert answer.json["detail"]
        assert (own / "concepts").exists() is False
        assert not [path for path in own.iterdir() if path.name.startswith("indexing")]

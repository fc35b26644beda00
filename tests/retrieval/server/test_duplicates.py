"""Copies over HTTP: looked for beside searches, kept until a commit, and never moved."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from indexer.core.errors import TwinlensError
from indexer.duplicates.finder import DuplicateGroup
from retrieval.api import PhotoLibrary
from tests.fakes import draw
from tests.retrieval.server.colours import Answer, Running, drawn, index, running

WITHIN = 60.0  # seconds


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A library with two copies of one photo, a smaller one of another, and a third photo."""
    photos = tmp_path / "photos"
    draw(photos / "red.png", "red", "white", size=(400, 300))
    shutil.copy(photos / "red.png", photos / "red copy.png")
    draw(photos / "blue.png", "blue", "black", size=(400, 300))
    drawn(photos, ("green",))
    index(tmp_path / "library", photos)
    return tmp_path / "library"


def compared(server: Running, path: str = "/api/v1/duplicates") -> Answer:
    """Ask until the photos are compared."""
    until = time.monotonic() + WITHIN
    while time.monotonic() < until:
        answer = server.get(path)
        if answer.status != 202:
            return answer
        assert answer.headers["retry-after"] == "1"
        time.sleep(0.05)
    raise AssertionError("the comparison did not end")


def names(group: dict[str, Any]) -> list[tuple[str, bool, str]]:
    return [(item["name"], item["keep"], item["why"]) for item in group["items"]]


def test_what_to_keep_and_why(own: Path) -> None:
    before = {path: path.read_bytes() for path in (own.parent / "photos").iterdir()}
    with running(own) as server:
        told = compared(server).json
        (group,) = told["groups"]
        assert (group["kind"], group["alike"], told["more"]) == ("exact", 1.0, 0)
        (kept, is_kept, why), other = names(group)
        assert (is_kept, other) == (True, ("red copy.png", False, ""))
        assert kept == "red.png"
        assert why
        first = group["items"][0]
        assert (first["width"], first["height"]) == (400, 300)
        assert first["bytes"] == (own.parent / "photos" / "red.png").stat().st_size
        assert server.get(first["thumb"]).status == 200
        listed = compared(server, "/api/v1/duplicates/list")
        assert listed.body.decode() == f"{own.parent / 'photos' / 'red copy.png'}\n"
        assert "attachment" in listed.headers["content-disposition"]
        assert compared(server, "/api/v1/duplicates/list?kind=near").body == b""
    assert {path: path.read_bytes() for path in (own.parent / "photos").iterdir()} == before


class Finder:
    """Stands in for a comparison that takes long."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.go = threading.Event()
        self.error: TwinlensError | None = None

    def __call__(
        self, library: PhotoLibrary, *, alike: float, progress: Callable[[int, int], None]
    ) -> list[DuplicateGroup]:
        self.begun.append(alike)
        for done in range(1_000):
            progress(done, 1_000)
            if self.go.wait(0.02):
                break
        if self.error is not None:
            raise self.error
        return []


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> Finder:
    found = Finder()
    monkeypatch.setattr(PhotoLibrary, "duplicates", lambda *a, **k: found(*a, **k))
    return found


def test_searches_are_answered_while_photos_are_compared(own: Path, finder: Finder) -> None:
    with running(own) as server:
        assert server.get("/api/v1/duplicates").status == 202
        assert server.get("/api/v1/search?q=red").status == 200
        told = server.get("/api/v1/duplicates").json
        until = time.monotonic() + WITHIN
        while told["done"] < 2 and time.monotonic() < until:
            told = server.get("/api/v1/duplicates").json
        assert (told["groups"], told["total"]) == (None, 1_000)
        assert finder.begun == [0.9]  # once, however often somebody asks
        finder.go.set()
        assert compared(server).json["groups"] == []


def test_the_result_is_kept_until_the_next_commit(own: Path, finder: Finder) -> None:
    finder.go.set()
    with running(own) as server:
        for _ in range(3):
            assert compared(server).json["groups"] == []
        assert finder.begun == [0.9]
        drawn(own.parent / "photos", ("yellow",))
        index(own, own.parent / "photos")
        assert compared(server).json["groups"] == []
        assert finder.begun == [0.9, 0.9]


def test_another_question_gives_up_the_first(own: Path, finder: Finder) -> None:
    with running(own) as server:
        assert server.get("/api/v1/duplicates").status == 202
        assert server.get("/api/v1/duplicates?alike=0.95").status == 202
        until = time.monotonic() + WITHIN
        while len(finder.begun) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        assert finder.begun == [0.9, 0.95]
        finder.go.set()
        assert compared(server, "/api/v1/duplicates?alike=0.95").json["groups"] == []


def test_a_comparison_that_fails_says_so_and_may_begin_again(own: Path, finder: Finder) -> None:
    finder.error = TwinlensError("the disk has gone")
    finder.go.set()
    with running(own) as server:
        answer = compared(server)
        assert (answer.status, answer.code) == (500, "failed")
        assert "the disk has gone" in answer.json["detail"]
        finder.error = None
        assert compared(server).json["groups"] == []


def test_the_server_ends_though_photos_are_compared(own: Path, finder: Finder) -> None:
    with running(own) as server:
        assert server.get("/api/v1/duplicates").status == 202
        asked = time.monotonic()
    assert time.monotonic() - asked < 5

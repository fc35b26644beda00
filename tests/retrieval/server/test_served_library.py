"""Served libraries: what is seen beside a writer, and how they recover from what happens."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexer.core.types import Kind
from retrieval.api import PhotoLibrary
from retrieval.runtime.model_choice import ModelChoice
from retrieval.search.library_search import ModelPool, SearchModels
from retrieval.server.libraries import unique_names
from tests.fakes import ColourEncoder
from tests.retrieval.server.colours import (
    ColourModels,
    ColourPool,
    Running,
    drawn,
    index,
    paths,
    running,
)

RED = "/api/v1/search?q=red&threshold=0"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A library of two photos."""
    drawn(tmp_path / "photos", ["red", "blue"])
    index(tmp_path / "library", tmp_path / "photos")
    return tmp_path


def state(site: Running) -> tuple[str, int]:
    """How the library is, and how many photos it has."""
    (library,) = site.get("/api/v1/libraries").json["libraries"]
    return library["state"], library["photos"]


def test_commits_are_followed(home: Path) -> None:
    with running(home / "library") as site:
        assert paths(site.get(RED)) == ["red.png", "blue.png"]
        before = site.get("/api/v1/libraries").json["libraries"][0]["generation"]
        drawn(home / "photos", ["red-blue"])
        index(home / "library", home / "photos")
        assert paths(site.get(RED)) == ["red.png", "red-blue.png", "blue.png"]
        assert state(site) == ("ready", 3)
        assert site.get("/api/v1/libraries").json["libraries"][0]["generation"] > before
        (home / "photos" / "red.png").unlink()
        index(home / "library", home / "photos")
        assert paths(site.get(RED)) == ["red-blue.png", "blue.png"]


def test_a_library_that_comes_later_is_found(tmp_path: Path) -> None:
    with running(tmp_path / "library") as site:
        answer = site.get(RED)
        assert (answer.status, answer.code) == (503, "no_library")
        assert "twinlens index FOLDER --library" in answer.json["detail"]
        assert state(site) == ("missing", 0)
        index(tmp_path / "library", tmp_path)
        assert state(site) == ("empty", 0)
        told = site.get("/api/v1/libraries").json["libraries"][0]["message"]
        assert told == (
            "the library is empty; fill it with: twinlens index FOLDER --library "
            f"{tmp_path / 'library'}"
        )
        assert site.get(RED).json["hits"] == []
        drawn(tmp_path / "photos", ["red"])
        index(tmp_path / "library", tmp_path / "photos")
        assert state(site) == ("ready", 1)
        assert paths(site.get(RED)) == ["red.png"]


def test_a_library_that_goes_and_comes_back(home: Path) -> None:
    with running(home / "library") as site:
        assert paths(site.get(RED)) == ["red.png", "blue.png"]
        (home / "library").rename(home / "away")
        assert site.get(RED).code == "no_library"
        assert state(site) == ("missing", 0)
        drawn(home / "other", ["green"])
        index(home / "library", home / "other")
        assert paths(site.get(RED)) == ["green.png"]
        shutil.rmtree(home / "library")
        (home / "away").rename(home / "library")
        assert paths(site.get(RED)) == ["red.png", "blue.png"]


def test_a_broken_library_is_told_and_recovers_when_it_is_mended(home: Path) -> None:
    with running(home / "library") as site:
        assert paths(site.get(RED)) == ["red.png", "blue.png"]
        catalog = home / "library" / "catalog.sqlite"
        whole = catalog.read_bytes()
        catalog.unlink()
        catalog.write_bytes(b"no catalog at all" * 100)
        answer = site.get(RED)
        assert (answer.status, answer.code) == (503, "library_damaged")
        assert state(site)[0] == "damaged"
        catalog.unlink()
        catalog.write_bytes(whole)
        assert state(site) == ("ready", 2)
        assert paths(site.get(RED)) == ["red.png", "blue.png"]


def test_a_broken_segment_is_told_until_it_is_whole(home: Path) -> None:
    segments = list((home / "library" / "vectors").iterdir())
    whole = {path: path.read_bytes() for path in segments}
    shutil.rmtree(home / "library" / "ann")
    for path in segments:
        path.write_bytes(b"")
    with running(home / "library") as site:
        assert site.get(RED).code == "library_damaged"
        assert state(site)[0] == "damaged"
        for path, data in whole.items():
            path.write_bytes(data)
        assert state(site) == ("ready", 2)
        assert paths(site.get(RED)) == ["red.png", "blue.png"]


def test_another_model_beside_it_leads_to_a_reload(home: Path) -> None:
    pool = ColourPool()
    with running(home / "library", pool=pool) as site:
        assert paths(site.get(RED)) == ["red.png", "blue.png"]
        other = ColourEncoder(fingerprint="c0106", name="other colours")
        shutil.move(home / "library", home / "old")
        index(home / "made", home / "photos", other)
        shutil.move(home / "old", home / "library")
        _adopt(home / "library", home / "made")
        assert paths(site.get(RED)) == ["red.png", "blue.png"]
        assert pool.asked == ["c0105", "c0106"]
        assert site.get(RED).json["model"] == "other colours"


def _adopt(library: Path, other: Path) -> None:
    """Do what a reindex does at its end: one commit switches to the set of another model."""
    from indexer.library.library import Library

    with Library.open(library) as opened, Library.open(other) as fresh:
        opened.adopt(fresh)


def test_a_catalog_that_is_locked_is_told_until_it_is_free(home: Path) -> None:
    locker = sqlite3.connect(home / "library" / "catalog.sqlite", isolation_level=None)
    locker.execute("PRAGMA locking_mode=EXCLUSIVE")
    locker.execute("BEGIN EXCLUSIVE")
    with running(home / "library") as site:
        answer = site.get(RED)
        assert (answer.status, answer.code) == (409, "library_locked")
        assert "another process is writing" in answer.json["detail"]
        assert state(site)[0] == "locked"
        locker.execute("ROLLBACK")
        locker.close()
        assert state(site) == ("ready", 2)
        assert paths(site.get(RED)) == ["red.png", "blue.png"]


def test_libraries_side_by_side(home: Path) -> None:
    drawn(home / "other", ["green"])
    index(home / "second" / "library", home / "other")
    with running(home / "library", home / "second" / "library") as site:
        names = [each["name"] for each in site.get("/api/v1/libraries").json["libraries"]]
        assert names == ["library", "library-2"]
        assert paths(site.get(RED)) == ["red.png", "blue.png"]
        assert paths(site.get(f"{RED}&library=library-2")) == ["green.png"]
        assert "library=library-2" in site.get(f"{RED}&library=library-2").json["hits"][0]["thumb"]
        shutil.rmtree(home / "library")
        assert site.get(RED).code == "no_library"
        assert paths(site.get(f"{RED}&library=library-2")) == ["green.png"]


def test_libraries_are_named_by_their_folders() -> None:
    folders = [Path("/a/family.lib"), Path("/b/family"), Path("/b/work"), Path("/c/family-2")]
    assert unique_names(folders) == ["family", "family-2", "work", "family-2-2"]


def test_libraries_of_one_model_share_it() -> None:
    pool, choice = ModelPool(most=2), ModelChoice()
    first = pool.models(choice, "builtin", "a")
    assert pool.models(ModelChoice(), "builtin", "a") is first
    assert pool.models(choice, "builtin", "b") is not first
    assert pool.models(choice, "builtin", "a") is first
    pool.models(choice, "builtin", "c")  # "b" was asked for longest ago
    assert pool.models(choice, "builtin", "a") is first


class _WaitingModels(ColourModels):
    """Models that load when they are let."""

    go = threading.Event()

    def quick(self) -> ColourEncoder:
        assert self.go.wait(20)
        return super().quick()


class _WaitingPool(ColourPool):
    def models(self, choice: ModelChoice, model: str, fingerprint: str) -> SearchModels:
        return _WaitingModels(fingerprint)


def test_the_page_is_there_before_the_model(home: Path) -> None:
    _WaitingModels.go.clear()
    with running(home / "library", pool=_WaitingPool()) as site:
        try:
            assert site.get("/").status == 200
            answer = site.get("/readyz")
            assert (answer.status, answer.code) == (503, "busy")
            assert "retry-after" in answer.headers
        finally:
            _WaitingModels.go.set()
        _until(lambda: site.get("/readyz").status == 200)
        assert site.get("/readyz").json == {"status": "ready"}


def _until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_threads_get_the_answers_of_one(tmp_path: Path) -> None:
    colours = ["red", "green", "blue", "yellow", "purple", "orange", "white", "black"]
    pairs = [f"{one}-{two}" for one in colours for two in colours if one != two]
    drawn(tmp_path / "photos", [*colours, *pairs])
    index(tmp_path / "library", tmp_path / "photos")
    queries = [
        f"{one}{more}"
        for one in colours
        for more in (" - blue", " + red", " type:png", " without green")
    ]
    with PhotoLibrary.open(tmp_path / "library", create=False, models=ColourPool()) as library:

        def ask(query: str) -> list[tuple[int, float]]:
            hits = library.search(library.query(query), k=5)
            return [(hit.id, round(hit.score, 6)) for hit in hits]

        alone = [ask(query) for query in queries]
        with ThreadPoolExecutor(8) as threads:
            for _ in range(3):
                assert list(threads.map(ask, queries)) == alone


def test_threads_search_beside_a_writer(tmp_path: Path) -> None:
    drawn(tmp_path / "photos", [f"red-{number}" for number in range(20)])
    index(tmp_path / "library", tmp_path / "photos")
    with (
        PhotoLibrary.open(tmp_path / "library", create=False, models=ColourPool()) as library,
        ThreadPoolExecutor(4) as threads,
    ):
        stop = threading.Event()

        def ask(query: str) -> set[int]:
            seen = set()
            while not stop.is_set():
                seen.add(len(library.search(library.query(query), k=0, threshold=0)))
                assert library.counts().photos >= 20
            return seen

        asked = [threads.submit(ask, query) for query in ("red", "type:png", "red - blue", "")]
        try:
            for number in range(20, 24):
                drawn(tmp_path / "photos", [f"red-{number}"])
                index(tmp_path / "library", tmp_path / "photos")
        finally:
            stop.set()
        for each in asked:
            assert each.result() <= {20, 21, 22, 23, 24}
        assert library.counts().photos == 24
        assert len(library._library.listed(Kind.PHOTO, library.query("type:png").where)) == 24

"""`PhotoLibrary` over drawn photos: one method for each command."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import retrieval
from retrieval import PhotoLibrary
from retrieval import filters as f
from tests.fakes import ColourEncoder


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The specs of the models that were loaded; each is a `ColourEncoder` of that name."""
    specs: list[str] = []

    def load(spec: str = "builtin", device: str = "auto", **_: object) -> ColourEncoder:
        specs.append(spec)
        return ColourEncoder(name=spec, fingerprint=f"fingerprint of {spec}")

    monkeypatch.setattr("retrieval.models.registry.load_encoder", load)
    monkeypatch.setattr("retrieval.runtime.select_encoder.quick_encoder", load)
    return specs


@pytest.fixture
def library(tmp_path: Path, photos: Path, loaded: list[str]) -> PhotoLibrary:
    """Three photos and two captions."""
    library = PhotoLibrary.open(tmp_path / "library")
    assert library.index(photos).photos == 3
    return library


def names(hits: retrieval.SearchResults) -> list[str]:
    """The names of the files of hits."""
    return [hit.path.name for hit in hits]


def test_it_is_made_filled_and_asked(library: PhotoLibrary, photos: Path) -> None:
    hits = library.search("red")
    assert names(hits) == ["red.png", "half.png", "blue.png"]
    assert (hits[0], list(hits[:2]), len(hits)) == (hits.hits[0], hits.hits[:2], 3)
    assert hits[0].metadata is hits[0].about
    assert names(library.search(image=photos / "blue.png", k=1)) == ["blue.png"]
    assert names(library.similar(hits[0], k=1)) == ["half.png"]  # itself is left out
    assert names(library.similar(photos / "red.png", k=1)) == ["red.png"]
    assert library.search("blue", target="texts", k=1)[0].text == "a blue door"
    assert names(library.search("red", where=f.file_type("jpg"))) == []


def test_models_are_loaded_once(library: PhotoLibrary, loaded: list[str]) -> None:
    before = len(loaded)
    for words in ("red", "blue"):
        library.search(words)
    assert (before, loaded) == (2, ["builtin", "builtin"])  # to make it, and to fill it


def test_it_is_opened_again(library: PhotoLibrary, tmp_path: Path) -> None:
    library.close()
    with PhotoLibrary.open(tmp_path / "library") as again:
        assert names(again.search("blue", k=1)) == ["blue.png"]
        assert again.info().photos == 3
    with PhotoLibrary.open(str(tmp_path / "library"), "builtin"):
        pass
    with pytest.raises(retrieval.ModelMismatch, match="was built with the model 'builtin'"):
        PhotoLibrary.open(tmp_path / "library", "other")
    with pytest.raises(retrieval.LibraryMissing, match="no library at"):
        PhotoLibrary.open(tmp_path / "elsewhere", create=False)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "the query is empty"),
        ({"text": "red", "k": -1}, "top and offset must be at least 0"),
        ({"text": "red", "threshold": 2.0}, "a threshold is a probability"),
        ({"text": "red", "target": "films"}, "target is one of photos, texts, not 'films'"),
        ({"text": "red", "sort": "size"}, "sort is one of score, date, oldest, not 'size'"),
        ({"image": b"no picture"}, "the bytes of the photo are no picture"),
        ({"image": "missing.png"}, "no file at 'missing.png'"),
        ({"image": 7}, "a query is words"),
        ({"text": "red", "instruct": "no blue", "rerank": False}, "--instruct needs the reranker"),
        ({"text": "red", "rerank": True}, "no reranker ships for the model builtin"),
    ],
)
def test_what_cannot_be_asked(library: PhotoLibrary, options: dict[str, object], said: str) -> None:
    with pytest.raises(retrieval.UsageError, match=said):
        library.search(**options)  # type: ignore[arg-type]


def test_an_empty_library_says_so(tmp_path: Path, loaded: list[str]) -> None:
    with PhotoLibrary.open(tmp_path / "new") as library:
        results = library.search("red")
    assert (len(results), results.found, results.message) == (0, False, "")
    assert results.hints == ("the library has no photos; add some with: twinlens index FOLDER",)


def test_files_leave_move_and_are_found_twice(
    library: PhotoLibrary, photos: Path, tmp_path: Path
) -> None:
    shutil.copy(photos / "red.png", photos / "again.png")
    library.index(photos)
    assert [len(group.copies) for group in library.duplicates(photos)] == [2]
    moved = photos.rename(tmp_path / "moved")
    assert {path.parent for path in library.move_root(photos, moved)} == {moved}
    assert library.forget(moved / "again.png") == 1
    assert library.info().photos == 3


def test_what_was_found_is_exported(library: PhotoLibrary, tmp_path: Path) -> None:
    done = library.export(library.search("red", k=2), tmp_path / "out")
    assert set(done.files.values()) == {"red.png", "half.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "red.png", "half.png", "manifest.csv",
    }  # fmt: skip
    listed = library.export(library.search("red", k=1), tmp_path / "list", "list")
    assert [path.name for path in (tmp_path / "list").iterdir()] == [listed.manifest.name]


def test_it_is_embedded_anew(library: PhotoLibrary) -> None:
    done = library.reindex("other")
    assert done.photos == 3
    assert library.info().model == "other"
    assert names(library.search("blue", k=1)) == ["blue.png"]


def test_it_is_checked_and_mended(library: PhotoLibrary) -> None:
    assert library.check() == []
    segment = next((library.path / "vectors").iterdir())
    segment.write_bytes(segment.read_bytes()[:-8])
    assert [finding.path for finding in library.check() if finding.grave] == [segment]
    assert library.repair().dropped > 0
    assert library.check() == []


def test_it_is_tuned(library: PhotoLibrary) -> None:
    assert {setting.chosen for setting in library.tune(recall=0.9)} == {True}


def test_names_are_forgotten_if_they_were_learned(library: PhotoLibrary) -> None:
    assert library.names() == []
    with pytest.raises(retrieval.ConceptInvalid):
        library.forget_name("Rex")

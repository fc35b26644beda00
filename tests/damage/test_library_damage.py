"""One test a kind of damage: it is named with a way out, or mended from the segments."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from indexer.core.errors import LibraryDamaged, LibraryTooNew
from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.library.verify import check
from tests.fakes import GENERIC, ColourEncoder, draw

ENCODER = ColourEncoder(generic=GENERIC)
OTHER_BANKS = ColourEncoder(generic={kind: ["black"] * len(GENERIC[kind]) for kind in GENERIC})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A library of three photos, closed."""
    for colour in ("red", "green", "blue"):
        draw(tmp_path / "photos" / f"{colour}.png", colour)
    with Library.create(tmp_path / "library", ENCODER) as library:
        index_folders(library, ENCODER, [tmp_path / "photos"])
    return tmp_path / "library"


@pytest.fixture
def segment(folder: Path) -> Path:
    """The one segment, without the saved index that would stand in for it."""
    for path in (folder / "ann").iterdir():
        path.unlink()
    (path,) = (folder / "vectors").iterdir()
    return path


def _search(folder: Path) -> list[str]:
    """The names that "red" finds, best first."""
    with Library.open(folder) as library:
        (hits,) = library.search(ENCODER.encode_texts(["red"]), Kind.PHOTO, 9)
        return [record.path.name for record in library.records([hit.id for hit in hits])]


def _refused(folder: Path, match: str) -> None:
    """A search is refused; the message names the fault and the way out."""
    with pytest.raises(LibraryDamaged, match=match) as caught:
        _search(folder)
    assert caught.value.remedy in (
        f"repair it with: twinlens check --repair --library {folder}",
        f"delete {folder} and run: twinlens index FOLDER --library {folder}",
    )


def _rewrite(path: Path, **changes: object) -> None:
    """Write a segment anew with other tensors or metadata."""
    metadata = {"format": "1", "kind": "photo"} | changes.pop("metadata", {})
    save_file(load_file(path) | changes, path, metadata=metadata)


def _sql(folder: Path, statement: str) -> None:
    """Change the catalog behind the library's back."""
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection, connection:
        connection.execute(statement)


WHOLE = ["red.png", "blue.png", "green.png"]


def test_the_whole_library_answers(folder: Path, segment: Path) -> None:
    assert _search(folder) == WHOLE


# Segments


def test_missing_segment(folder: Path, segment: Path) -> None:
    segment.unlink()
    _refused(folder, f"{segment} is missing")


@pytest.mark.parametrize("size", [0, 4, 60, -1])
def test_truncated_segment(folder: Path, segment: Path, size: int) -> None:
    segment.write_bytes(segment.read_bytes()[:size])
    _refused(folder, f"{segment} is broken")


def test_segment_of_another_dtype(folder: Path, segment: Path) -> None:
    _rewrite(segment, vectors=load_file(segment)["vectors"].astype(np.float32))
    _refused(folder, f"{segment} does not hold 3 photo vectors of length 10")


def test_segment_of_another_dim(folder: Path, segment: Path) -> None:
    _rewrite(segment, vectors=np.zeros((3, 9), dtype=np.float16))
    _refused(folder, f"{segment} does not hold 3 photo vectors of length 10")


def test_segment_with_too_few_rows(folder: Path, segment: Path) -> None:
    tensors = load_file(segment)
    _rewrite(segment, ids=tensors["ids"][:2], vectors=tensors["vectors"][:2])
    _refused(folder, f"{segment} does not hold 3 photo vectors")


def test_segment_of_another_kind(folder: Path, segment: Path) -> None:
    _rewrite(segment, metadata={"kind": "text"})
    _refused(folder, f"{segment} does not hold 3 photo vectors")


def test_segment_without_its_tensors(folder: Path, segment: Path) -> None:
    save_file({"other": np.zeros(3)}, segment)
    _refused(folder, f"{segment} is broken")


# The saved index is derived: never an error


def _ann(folder: Path) -> Path:
    (path,) = (folder / "ann").iterdir()
    return path


def _other_index(path: Path) -> None:
    with Library.create(path.parents[2] / "other", ENCODER) as other:
        index_folders(other, ENCODER, [path.parents[2] / "photos" / "red.png"])
    path.write_bytes(_ann(path.parents[2] / "other").read_bytes())


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not an index at all"),
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        _other_index,
    ],
    ids=["missing", "empty", "foreign", "truncated", "of another library"],
)
def test_a_broken_saved_index_is_rebuilt(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(_ann(folder))
    assert _search(folder) == WHOLE


# The banks: only who adds needs them


def _refused_to_add(folder: Path, what: str) -> None:
    """Searching goes on; adding is refused, with the fault and the way out, until it is mended.

    Only the model that made the banks makes them again.
    """
    assert _search(folder) == WHOLE
    draw(folder.parent / "photos" / "white.png", "white")
    with Library.open(folder) as library, pytest.raises(LibraryDamaged) as caught:
        index_folders(library, OTHER_BANKS, [folder.parent / "photos"])
    assert str(caught.value) == (
        f"{folder / 'banks.safetensors'} {what}; searches still work; "
        "twinlens check --repair or twinlens index rebuilds it with the same model. If that "
        f"fails, delete {folder} and run: twinlens index FOLDER --library {folder}"
    )
    assert _search(folder) == WHOLE
    with Library.open(folder) as library:
        assert index_folders(library, ENCODER, [folder.parent / "photos"]).photos == 1
    assert check(folder) == []


def test_missing_banks(folder: Path) -> None:
    (folder / "banks.safetensors").unlink()
    _refused_to_add(folder, "is missing")


@pytest.mark.parametrize("size", [0, 4, 60, -1])
def test_truncated_banks(folder: Path, size: int) -> None:
    path = folder / "banks.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(SafetensorError) as fault:
        load_file(path)
    _refused_to_add(folder, f"is broken ({fault.value})")


@pytest.mark.parametrize("bank", [np.zeros((5, 9), np.float16), np.zeros((6, 9), np.float32)])
def test_banks_of_another_size_or_type(folder: Path, bank: np.ndarray) -> None:
    path = folder / "banks.safetensors"
    save_file(load_file(path) | {"texts": bank}, path)
    _refused_to_add(folder, "does not hold 6 text vectors of length 9")


def test_banks_without_a_kind(folder: Path) -> None:
    path = folder / "banks.safetensors"
    save_file({"texts": load_file(path)["texts"]}, path)
    _refused_to_add(folder, "is broken ('photos')")


# The catalog


def test_missing_catalog(folder: Path) -> None:
    (folder / "catalog.sqlite").unlink()
    _refused(folder, "catalog.sqlite is missing")


def test_catalog_that_is_not_sqlite(folder: Path) -> None:
    (folder / "catalog.sqlite").write_bytes(b"a text, much longer than the header of a page" * 99)
    _refused(folder, "catalog.sqlite is broken .*not a database")


def test_empty_catalog(folder: Path) -> None:
    (folder / "catalog.sqlite").write_bytes(b"")
    _refused(folder, "catalog.sqlite is broken .*no such table")


def test_truncated_catalog(folder: Path) -> None:
    path = folder / "catalog.sqlite"
    path.write_bytes(path.read_bytes()[:8192])
    _refused(folder, "catalog.sqlite is broken .*malformed")


def test_missing_table(folder: Path) -> None:
    _sql(folder, "DROP TABLE items")
    _refused(folder, "catalog.sqlite is broken .*no such table: items")


@pytest.mark.parametrize(
    "key", ["format", "model", "fingerprint", "dim", "generation", "hubness_k"]
)
def test_missing_fact(folder: Path, key: str) -> None:
    _sql(folder, f"DELETE FROM meta WHERE key = '{key}'")
    _refused(folder, f"catalog.sqlite lacks {key}")


@pytest.mark.parametrize("key", ["format", "dim", "next_segment", "text_bank"])
def test_fact_that_is_no_number(folder: Path, key: str) -> None:
    _sql(folder, f"UPDATE meta SET value = 'x' WHERE key = '{key}'")
    _refused(folder, f"catalog.sqlite lacks {key}")


def test_newer_format(folder: Path) -> None:
    _sql(folder, "UPDATE meta SET value = '7' WHERE key = 'format'")
    with pytest.raises(LibraryTooNew, match="has format 7, this twinlens reads up to 6; upgrade"):
        Library.open(folder)


def test_damage_does_not_stop_a_rebuild_elsewhere(folder: Path, segment: Path) -> None:
    segment.unlink()
    photos = folder.parent / "photos"
    with Library.create(folder.parent / "new", ENCODER) as library:
        assert index_folders(library, ENCODER, [photos]).photos == 3

"""A moved drive keeps its vectors; a move that cannot be right is refused whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.core.errors import UsageError
from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from tests.fakes import ColourEncoder, draw

ENCODER = ColourEncoder()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    for name in ("old/red.png", "old/2019/blue.png", "other/green.png"):
        draw(tmp_path / name, Path(name).stem)
    with Library.create(tmp_path / "library", ENCODER) as library:
        index_folders(library, ENCODER, [tmp_path / "old", tmp_path / "other"])
        yield library


def _held(library: Library) -> dict[Path, int]:
    (hits,) = library.search(ENCODER.encode_texts(["red"]), Kind.PHOTO, 100)
    return {record.path: record.id for record in library.records([hit.id for hit in hits])}


def test_every_file_keeps_its_vector(library: Library, tmp_path: Path) -> None:
    before = _held(library)
    (tmp_path / "old").rename(tmp_path / "new")
    library.move_root(tmp_path / "old", tmp_path / "new")
    after = {
        tmp_path / "new" / path.relative_to(tmp_path / "old"): id_
        for path, id_ in before.items()
        if path.is_relative_to(tmp_path / "old")
    }
    assert after.items() <= _held(library).items()
    assert library.info().folders == (tmp_path / "new", tmp_path / "other")
    report = index_folders(library, ENCODER, [tmp_path / "new", tmp_path / "other"])
    assert (report.unchanged, report.photos, report.moved, report.removed) == (3, 0, 0, 0)


def test_into_itself_and_out_again(library: Library, tmp_path: Path) -> None:
    inside = tmp_path / "old" / "2019"
    draw(inside / "red.png", "red")
    draw(inside / "2019" / "blue.png", "blue")
    names = {path.name: id_ for path, id_ in _held(library).items()}
    library.move_root(tmp_path / "old", inside)
    assert {path.name: id_ for path, id_ in _held(library).items()} == names
    assert inside / "2019" / "blue.png" in _held(library)
    library.move_root(inside, tmp_path / "old")
    assert tmp_path / "old" / "2019" / "blue.png" in _held(library)


def test_a_part_of_a_folder_gets_a_folder_of_its_own(library: Library, tmp_path: Path) -> None:
    (tmp_path / "old" / "2019").rename(tmp_path / "archive")
    library.move_root(tmp_path / "old" / "2019", tmp_path / "archive")
    folders = (tmp_path / "archive", tmp_path / "old", tmp_path / "other")
    assert library.info().folders == folders


def test_a_path_that_is_taken_refuses_all(library: Library, tmp_path: Path) -> None:
    draw(tmp_path / "other" / "red.png", "red")
    index_folders(library, ENCODER, [tmp_path / "other"])
    before = _held(library)
    with pytest.raises(UsageError, match=r"already contains .*other/red\.png; remove"):
        library.move_root(tmp_path / "old", tmp_path / "other")
    assert _held(library) == before


def test_a_folder_that_holds_none_of_the_files_is_refused(library: Library, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="none of the 2 files"):
        library.move_root(tmp_path / "old", tmp_path / "empty")
    with pytest.raises(UsageError, match="contains no files of"):
        library.move_root(tmp_path / "nowhere", tmp_path / "other")

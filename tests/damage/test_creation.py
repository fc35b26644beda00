"""Killed at any instant while it is made, a library can be made again in the same folder."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from indexer.core.errors import UsageError
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from indexer.library.verify import check
from tests.damage import nursery
from tests.fakes import GENERIC, ColourEncoder, draw

ENCODER = ColourEncoder(generic=GENERIC)

LEFT = {
    "the lock": ["lock"],
    "half the banks": ["lock", "banks.safetensors.part"],
    "the banks": ["lock", "banks.safetensors"],
    "a catalog without a page": ["lock", "banks.safetensors", "catalog.sqlite.part"],
    "the journal of its first page": ["lock", "catalog.sqlite.part", "catalog.sqlite.part-journal"],
    "its log": ["catalog.sqlite.part", "catalog.sqlite.part-wal", "catalog.sqlite.part-shm"],
    "a journal of a journal": ["catalog.sqlite.part", "catalog.sqlite.part-mj01234567"],
}


def _is_made(folder: Path) -> None:
    """Index into a folder; after that all is there, and nothing else."""
    draw(folder.parent / "photos" / "red.png", "red")
    with Library.open_or_create(folder, ENCODER) as library:
        assert index_folders(library, ENCODER, [folder.parent / "photos"]).photos == 1
    assert check(folder) == []
    assert not list(folder.glob("*.part*"))


@pytest.mark.parametrize("names", LEFT.values(), ids=LEFT.keys())
def test_what_a_killed_run_left_is_taken_over(tmp_path: Path, names: Sequence[str]) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"half of what it should be")
    _is_made(folder)


@pytest.mark.parametrize("name", ["a.jpg", "catalog.txt", "catalog.sqlite-journal", "vector"])
def test_a_folder_with_something_of_others_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "library").mkdir()
    for each in ("lock", "catalog.sqlite.part", name):
        (tmp_path / "library" / each).write_bytes(b"theirs")
    with pytest.raises(UsageError, match="is not empty"):
        Library.open_or_create(tmp_path / "library", ENCODER)
    assert (tmp_path / "library" / name).read_bytes() == b"theirs"


def test_a_folder_of_our_names_is_no_half_made_library(tmp_path: Path) -> None:
    (tmp_path / "library" / "catalog.sqlite.parts").mkdir(parents=True)
    with pytest.raises(UsageError, match="is not empty"):
        Library.open_or_create(tmp_path / "library", ENCODER)


def make(folder: str) -> None:
    """Make a library."""
    Library.create(folder, ENCODER).close()


def test_killed_at_random_while_it_is_made(tmp_path: Path) -> None:
    rng = random.Random(0)
    with nursery.nursery() as process:
        for number in range(10):
            folder = tmp_path / str(number) / "library"
            seconds = rng.random() / 20
            nursery.run(process, f"{__name__}:make", str(folder), seconds=seconds)
            _is_made(folder)

"""What photos say in columns: read whole, or with what was added since, it is the same."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.changes import FileState, Move, NewFile, Transaction
from indexer.catalog.facets import (
    FacetColumns,
    FacetGroup,
    only_added,
    read_columns,
    read_words,
)
from indexer.catalog.meta import LibraryMeta
from indexer.catalog.reader import CatalogReader
from indexer.catalog.writer import CatalogWriter
from indexer.core.types import Kind, Metadata

PLACES = ("", "Rome, Italy", "Trastevere, Rome, Italy", "ITALY", "Austin, Texas, United States")
ROOT = Path("/pics")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[CatalogWriter]:
    """An empty catalog of one root."""
    path = tmp_path / "catalog.sqlite"
    CatalogWriter.create(path, LibraryMeta(model="m", fingerprint="f", dim=2, hubness_k=16))
    opened = CatalogWriter.open(path)
    opened.apply(Transaction(roots=[ROOT]))
    yield opened
    opened.close()


def new(chosen: random.Random, number: int, first: int) -> NewFile:
    """Describe a file that there is none of: a photo, a video of two frames, or a text."""
    suffix = chosen.choice((".jpg", ".JPG", ".nef", ".mp4", ".txt"))
    folder = chosen.choice(("a", "a/b", "c", os.fsdecode(b"\xff")))
    kind = Kind.TEXT if suffix == ".txt" else Kind.PHOTO
    frames = 2 if suffix in (".mp4", ".txt") else 1
    year, month = chosen.choice((2018, 2019)), chosen.randrange(1, 13)
    about = Metadata(
        taken=datetime(year, month, 1) if chosen.random() < 0.8 else None,
        place=chosen.choice(PLACES),
        camera=chosen.choice(("", "Nikon D750", "NIKON d750", "Apple iPhone 12")),
        rating=chosen.choice((None, -1, 2, 5)),
        keywords=tuple(chosen.sample(("Beach", "beach2", "Süden"), chosen.randrange(3))),
        caption=chosen.choice(("", "a red boat", "boats at sea")),
        width=chosen.choice((0, 3, 4)),
        height=chosen.choice((3, 4)),
    )
    return NewFile(
        state=FileState(path=ROOT / folder / f"{number}{suffix}", kind=kind, size=1, mtime_ns=1,
                        digest=b"%d" % number, reader="r"),
        ids=range(first, first + frames),
        texts=("a red door",) * frames if kind == Kind.TEXT else ("",) * frames,
        times=(0.0, 1.0) if suffix == ".mp4" else (),
        about=about if kind == Kind.PHOTO else None,
    )  # fmt: skip


def add(catalog: CatalogWriter, count: int, seed: int) -> list[NewFile]:
    """Add files in one commit."""
    chosen, first = random.Random(seed), catalog.facts().next_id
    files: list[NewFile] = []
    for number in range(count):
        files.append(new(chosen, 1_000 * seed + number, first))
        first = files[-1].ids.stop
    catalog.apply(Transaction(files=files))
    return files


def listed(columns: FacetColumns) -> dict[str, object]:
    """What columns say, whatever the order of their values."""
    told: dict[str, object] = {"ids": columns.ids.tolist()}
    for group, tree in columns.trees.items():
        names = [key.casefold() if group in _FOLDED else key for key in tree.keys]
        parents = [names[row] if row >= 0 else "" for row in tree.parents.tolist()]
        counts = tree.counts(columns.everything).tolist()
        told[group] = sorted(zip(names, parents, counts, strict=True))
    return told


_FOLDED = (FacetGroup.PLACES, FacetGroup.CAMERAS, FacetGroup.KEYWORDS)


def whole(catalog: CatalogReader, kind: Kind) -> FacetColumns:
    return catalog.columns(kind)


@pytest.mark.parametrize("kind", Kind)
def test_what_was_added_is_read_apart_and_joined(catalog: CatalogWriter, kind: Kind) -> None:
    columns, words = catalog.columns(kind), catalog.caption_words(kind)
    for seed in range(1, 6):
        add(catalog, 30, seed)
        columns = catalog.columns(kind, columns)
        words = catalog.caption_words(kind, words)
        assert columns.generation == catalog.facts().generation
        assert listed(columns) == listed(whole(catalog, kind))
        assert words == catalog.caption_words(kind)


def test_values_are_counted_with_those_above_them(catalog: CatalogWriter) -> None:
    files = [file for file in add(catalog, 200, 1) if file.about is not None]
    told = listed(whole(catalog, Kind.PHOTO))
    places = [file.about.place.lower() for file in files if file.about]
    expected = {
        name: sum(place == name or place.endswith(f", {name}") for place in places)
        for name in ("italy", "rome, italy", "trastevere, rome, italy", "texas, united states")
    }
    found = {name: count for name, _, count in told[FacetGroup.PLACES]}  # type: ignore[attr-defined]
    assert {name: found[name] for name in expected} == expected
    ratings = [file.about.rating for file in files if file.about]
    stars = {str(least): sum((r or 0) >= least for r in ratings) for least in range(1, 6)}
    assert {name: count for name, _, count in told[FacetGroup.RATINGS]} == stars  # type: ignore[attr-defined]
    assert len(whole(catalog, Kind.PHOTO).ids) == len(files)  # a video is one


def test_words_are_counted_once_a_video(catalog: CatalogWriter) -> None:
    files = [file for file in add(catalog, 200, 1) if file.about is not None]
    counts = catalog.caption_words(Kind.PHOTO).counts
    captions = [file.about.caption for file in files if file.about]
    assert counts["boat"] == captions.count("a red boat")
    assert counts["sea"] == captions.count("boats at sea")
    assert set(counts) == {"boat", "boats", "sea", "red", "beach", "beach2", "suden"}
    texts = catalog.caption_words(Kind.TEXT).counts
    assert set(texts) == {"red", "door"}


def change(catalog: CatalogWriter, how: str, files: Sequence[NewFile]) -> None:
    """Change what is known of files, or only add."""
    id_ = next(iter(catalog.known([files[0].state.path]).values())).id
    if how == "added":
        add(catalog, 1, 9)
    elif how == "touched":
        catalog.apply(Transaction(missing=[id_]))
    elif how == "removed":
        catalog.apply(Transaction(removed=[id_]))
    elif how == "moved":
        catalog.apply(Transaction(moves=[Move(file_id=id_, path=ROOT / "new.jpg", mtime_ns=2)]))
    elif how == "replaced":
        catalog.apply(Transaction(files=[_again(catalog, files[0])]))
    elif how == "root moved":
        catalog.move_root(ROOT, Path("/other"))
    elif how == "new root":
        catalog.apply(Transaction(roots=[ROOT / "a"]))


def _again(catalog: CatalogWriter, file: NewFile) -> NewFile:
    """The same file, read anew."""
    first = catalog.facts().next_id
    frames = len(file.ids)
    return NewFile(
        state=file.state, ids=range(first, first + frames), texts=file.texts, times=file.times,
        about=file.about,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("how", "is_kept"),
    [("added", True), ("touched", True), ("removed", False), ("moved", False),
     ("replaced", False), ("root moved", False), ("new root", False)],
)  # fmt: skip
def test_what_is_changed_is_read_anew(catalog: CatalogWriter, how: str, is_kept: bool) -> None:
    files = add(catalog, 20, 1)
    before = whole(catalog, Kind.PHOTO)
    words = catalog.caption_words(Kind.PHOTO)
    change(catalog, how, files)
    kept = catalog._read(lambda snapshot: only_added(snapshot, before.generation))
    assert kept == is_kept
    after = catalog.columns(Kind.PHOTO, before)
    assert listed(after) == listed(whole(catalog, Kind.PHOTO))
    assert catalog.caption_words(Kind.PHOTO, words) == catalog.caption_words(Kind.PHOTO)


def test_an_older_writer_that_notes_nothing_is_not_trusted(catalog: CatalogWriter) -> None:
    add(catalog, 5, 1)
    with catalog._changing() as connection:
        connection.exec_driver_sql("DELETE FROM meta WHERE key = 'rewritten'")
    generation = catalog.facts().generation
    assert not catalog._read(lambda snapshot: only_added(snapshot, generation))


def test_a_mask_counts_some(catalog: CatalogWriter) -> None:
    add(catalog, 100, 1)
    columns = whole(catalog, Kind.PHOTO)
    odd = np.arange(len(columns.ids)) % 2 == 1
    for tree in columns.trees.values():
        total = tree.counts(columns.everything)
        assert (tree.counts(odd) + tree.counts(~odd) == total).all()


@pytest.mark.parametrize("number", range(1, 7))
def test_a_library_of_each_format_is_read(number: int, tmp_path: Path) -> None:
    golden = Path(__file__).parents[2] / "golden" / f"library-{number}" / "catalog.sqlite"
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(golden.read_bytes())
    reader = CatalogReader(path)
    columns = reader._read(lambda snapshot: read_columns(snapshot, Kind.PHOTO))
    assert len(columns.ids) > 0
    folders = columns.trees[FacetGroup.FOLDERS]
    assert folders.counts(columns.everything).max() == len(columns.ids)
    reader._read(lambda snapshot: read_words(snapshot, Kind.PHOTO))
    reader.close()

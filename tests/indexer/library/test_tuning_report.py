"""A library that outgrew exact search: found as surely as asked for, added to, damaged, mended."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.changes import FileState
from indexer.core.encoder import Vectors
from indexer.core.types import Hubness, Kind
from indexer.library.batch import BatchEntry, IndexBatch
from indexer.library.library import Library
from indexer.library.tuning_report import tune
from indexer.library.verify import check, repair
from indexer.vectors.flat_index import FlatIndex
from indexer.vectors.ivf_index import IvfIndex
from indexer.vectors.nprobe_tuning import RecallTarget
from indexer.vectors.vector_store import MAX_TAIL

DIM, ROWS, FEW = 16, 1_500, 100
AIM = RecallTarget(recall=0.9, exact_rows=FEW)


def unit(seed: int, rows: int, *, shift: float = 0.0) -> Vectors:
    """Random unit vectors; with a shift they lie in another region."""
    vectors = np.random.default_rng(seed).normal(size=(rows, DIM)).astype(np.float32)
    vectors[:, 0] += shift
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class RandomEncoder:
    """Random vectors stand for generic texts, off the region of the photos."""

    name, fingerprint, dim, image_size, hubness = "random", "f0", DIM, 8, Hubness()

    def bank(self, kind: Kind) -> Vectors:
        return unit(1, 400, shift=2.0) if kind == Kind.TEXT else unit(2, 0)

    def encode_images(self, images: object) -> Vectors:
        raise NotImplementedError

    def encode_texts(self, texts: object) -> Vectors:
        raise NotImplementedError


ENCODER = RandomEncoder()
QUERIES = unit(9, 300, shift=2.0)


def entries(vectors: Vectors, first: int = 0) -> list[BatchEntry]:
    """One photo a vector."""
    return [
        BatchEntry(
            state=FileState(
                path=Path(f"/photos/{number}.jpg"),
                kind=Kind.PHOTO,
                size=1,
                mtime_ns=1,
                digest=number.to_bytes(16, "big"),
                reader="r",
            ),
            texts=("",),
            vectors=vector[None],
        )
        for number, vector in enumerate(vectors, start=first)
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library in lists, of two commits."""
    folder = tmp_path_factory.mktemp("made") / "library"
    with Library.create(folder, ENCODER) as library:
        vectors = unit(3, ROWS)
        library.commit(IndexBatch(entries=entries(vectors[:1000]), roots=[Path("/photos")]))
        library.commit(IndexBatch(entries=entries(vectors[1000:], 1000)))
        tune(library, AIM)
    return folder


@pytest.fixture
def library(made: Path, tmp_path: Path) -> Iterator[Library]:
    shutil.copytree(made, tmp_path / "library")
    with Library.open(tmp_path / "library") as library:
        yield library


def recall(library: Library, vectors: Vectors, k: int = 10) -> float:
    """Share of the true neighbours that words find; ids count from 1, in the order of vectors."""
    rows = library.normalizer.stored(vectors, Kind.PHOTO).astype(np.float16).astype(np.float32)
    scores = (
        QUERIES @ rows[:, :DIM].T - 0.5 * rows[:, DIM]
    )  # the formula of indexer.calibration.hubness
    true = np.argsort(-scores, axis=1)[:, :k] + 1
    found = library.search(QUERIES, Kind.PHOTO, k, alpha=0.5)
    shares = [
        len({hit.id for hit in hits} & set(row)) / k
        for hits, row in zip(found, true.tolist(), strict=True)
    ]
    return float(np.mean(shares))


def test_the_recall_is_the_one_asked_for(library: Library) -> None:
    index = library.vectors.load(Kind.PHOTO).base
    assert isinstance(index, IvfIndex)
    assert 1 < index.probes_for(10) < index.lists == 64
    reached = recall(library, unit(3, ROWS))
    assert 0.9 <= reached < 1.0
    shown = {(each.item, each.chosen): each for each in tune(library)}
    told = shown[Kind.PHOTO, True]
    assert (told.lists, told.of) == (index.probes_for(10), 64)
    assert told.recall[Kind.TEXT] == pytest.approx(reached, abs=0.03)  # other queries of one kind
    assert Kind.TEXT not in {item for item, _ in shown}  # the library has no texts


def test_another_aim_changes_the_setting_alone(library: Library) -> None:
    file = next((library.folder / "ann").iterdir())
    before = file.stat().st_mtime_ns
    lists = [
        next(
            each.lists
            for each in tune(library, RecallTarget(recall=share, exact_rows=FEW))
            if each.chosen
        )
        for share in (0.6, 0.9, 0.99)
    ]
    assert lists == sorted(set(lists))
    assert file.stat().st_mtime_ns == before
    assert recall(library, unit(3, ROWS)) >= 0.98


def test_full_recall_is_an_exact_index(library: Library) -> None:
    (told,) = tune(library, RecallTarget(recall=1.0))
    assert (told.lists, told.of, told.recall) == (0, 0, {Kind.TEXT: 1.0, Kind.PHOTO: 1.0})
    assert isinstance(library.vectors.load(Kind.PHOTO).base, FlatIndex)
    assert recall(library, unit(3, ROWS)) == 1.0
    assert check(library.folder) == []


def test_a_search_for_all_or_among_few_is_exact(library: Library) -> None:
    assert recall(library, unit(3, ROWS), k=ROWS) == 1.0
    gone = np.arange(FEW // 2, ROWS) + 1
    found = library.search(QUERIES, Kind.PHOTO, 20, excluded=gone)
    assert all(len(hits) == 20 for hits in found)


def test_what_is_added_and_removed_needs_no_new_index(library: Library) -> None:
    file = next((library.folder / "ann").iterdir())
    added = QUERIES[:100]  # nothing is nearer to these queries
    library.commit(IndexBatch(entries=entries(added, ROWS)))
    library.commit(IndexBatch(removed=list(library.catalog.files_below([Path("/photos/0.jpg")]))))
    library.refresh_index()
    assert [file] == list((library.folder / "ann").iterdir())
    with Library.open(library.folder) as again:
        for opened in (library, again):
            found = opened.search(added, Kind.PHOTO, 3)
            assert [hits[0].id for hits in found] == list(range(ROWS + 1, ROWS + 101))
            everything = opened.search(added[:1], Kind.PHOTO, 5_000)[0]
            assert {hit.id for hit in everything} == set(range(2, ROWS + 101))
            rows = opened.fetch([ROWS + 1, 5], Kind.PHOTO)
            wanted = np.stack([added[0], unit(3, ROWS)[4]]).astype(np.float16)
            assert np.array_equal(rows, wanted)
            with pytest.raises(KeyError):
                opened.fetch([ROWS + 900], Kind.PHOTO)


def test_a_tenth_more_is_worth_a_new_index(library: Library) -> None:
    for number in range(MAX_TAIL + 1):  # small segments are merged on the way, the index stays
        library.commit(IndexBatch(entries=entries(unit(20 + number, 10), ROWS + 10 * number)))
        library.refresh_index()
        assert len(library.vectors.load(Kind.PHOTO).base) == ROWS
    library.commit(IndexBatch(entries=entries(unit(40, 100), 5_000)))
    library.refresh_index()
    assert len(library.vectors.load(Kind.PHOTO).base) == ROWS + 10 * (MAX_TAIL + 1) + 100
    assert check(library.folder) == []


def test_an_exact_index_that_was_outgrown_is_replaced(tmp_path: Path) -> None:
    vectors = unit(3, ROWS)
    with Library.create(tmp_path / "library", ENCODER) as library:
        library.commit(IndexBatch(entries=entries(vectors), roots=[Path("/photos")]))
        library.refresh_index()
        assert isinstance(library.vectors.load(Kind.PHOTO).base, FlatIndex)
        assert recall(library, vectors) == 1.0
        library.catalog.note("aim", AIM.dumps())  # as if an older version had made it
        library.refresh_index()
        assert isinstance(library.vectors.load(Kind.PHOTO).base, IvfIndex)


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "exact"])
def test_a_broken_index_of_lists_is_found_and_made_anew(library: Library, damage: str) -> None:
    (file,) = (library.folder / "ann").iterdir()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "flip":
        file.write_bytes(data)
    elif damage == "cut":
        file.write_bytes(data[:-1])
    else:
        file.unlink()
    if damage == "exact":
        shutil.copy(next(library.folder.glob("vectors/*")), file)
    (finding,) = check(library.folder)
    assert finding.path == file
    assert (
        finding.fault
        == {
            "flip": "does not match its segments",
            "cut": "fails its checksum",
            "gone": "is missing",
            "exact": "fails its checksum",
        }[damage]
    )
    if damage != "flip":  # a search goes on, from the segments
        with Library.open(library.folder) as again:
            assert recall(again, unit(3, ROWS)) == 1.0
    assert repair(library.folder).mended == (finding,)
    assert check(library.folder) == []
    assert recall(library, unit(3, ROWS)) >= 0.9


@pytest.mark.parametrize("plan", ["{", "{}", "[]"])
def test_a_plan_that_cannot_be_read_is_made_anew(library: Library, plan: str) -> None:
    library.catalog.note("plan_photo", plan)
    with Library.open(library.folder) as again:
        assert recall(again, unit(3, ROWS)) == 1.0  # from the segments
    (finding,) = check(library.folder)
    assert finding.fault == "has search parameters that cannot be read"
    assert repair(library.folder).mended == (finding,)
    assert recall(library, unit(3, ROWS)) >= 0.9


def test_an_empty_library_has_nothing_to_tune(tmp_path: Path) -> None:
    with Library.create(tmp_path / "library", ENCODER) as library:
        assert tune(library, AIM) == []
        library.refresh_index()
        assert library.search(QUERIES[:1], Kind.PHOTO, 3) == [[]]

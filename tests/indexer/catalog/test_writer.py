"""The catalog gives back what it was given, and forgets without losing count."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.changes import FileRecord, FileState, Merge, Move, NewFile, Transaction
from indexer.catalog.meta import LibraryMeta, SavedIndexMeta
from indexer.catalog.writer import CatalogWriter
from indexer.core.types import Kind, Record, SegmentRow

FACTS = LibraryMeta(model="m", fingerprint="f", dim=2, hubness_k=16)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[CatalogWriter]:
    CatalogWriter.create(tmp_path / "catalog.sqlite", FACTS)
    with_ = CatalogWriter.open(tmp_path / "catalog.sqlite")
    yield with_
    with_.close()


def _state(path: str | Path, **changes: object) -> FileState:
    values = {"kind": Kind.PHOTO, "size": 1, "mtime_ns": 2, "digest": b"d", "reader": "r"}
    return FileState(path=Path(path), **(values | changes))


def _photo(path: str | Path, id_: int, **changes: object) -> NewFile:
    return NewFile(state=_state(path, **changes), ids=range(id_, id_ + 1), texts=("",))


def _segment(number: int, rows: int, kind: Kind = Kind.PHOTO) -> SegmentRow:
    return SegmentRow(number=number, kind=kind, rows=rows)


def test_a_new_catalog_has_its_facts(catalog: CatalogWriter) -> None:
    assert catalog.facts() == FACTS
    assert (FACTS.format, FACTS.generation, FACTS.next_id, FACTS.next_segment) == (6, 0, 1, 1)
    assert (FACTS.width, LibraryMeta(model="m", fingerprint="f", dim=2).width) == (3, 2)


def test_files_and_items_come_back(catalog: CatalogWriter) -> None:
    broken = _state("/b.jpg", reasons=("empty file",), digest=b"e")
    text = NewFile(
        state=_state("/c.txt", kind=Kind.TEXT), ids=range(2, 4), texts=("one", "two\nlines")
    )
    files = [_photo("/a.jpg", 1), NewFile(state=broken, ids=range(2, 2), texts=()), text]
    segments = [_segment(1, 1), _segment(2, 2, Kind.TEXT)]
    catalog.apply(Transaction(files=files, segments=segments, roots=[Path("/z"), Path("/y")]))
    assert catalog.records([3, 1, 99, 2]) == [
        Record(id=3, kind=Kind.TEXT, path=Path("/c.txt"), text="two\nlines"),
        Record(id=1, kind=Kind.PHOTO, path=Path("/a.jpg"), text=""),
        Record(id=2, kind=Kind.TEXT, path=Path("/c.txt"), text="one"),
    ]
    known = catalog.known([Path("/b.jpg"), Path("/nowhere")])
    assert known == {Path("/b.jpg"): FileRecord(id=2, **vars(broken))}
    assert [file.path for file in catalog.with_content([b"e"])] == [Path("/b.jpg")]
    assert (catalog.count(Kind.PHOTO), catalog.count(Kind.TEXT)) == (1, 2)
    assert catalog.count_skipped() == 1
    assert catalog.roots() == [Path("/y"), Path("/z")]
    facts = catalog.facts()
    assert (facts.next_id, facts.next_segment, facts.generation) == (4, 3, 1)


def test_any_file_name_comes_back(catalog: CatalogWriter) -> None:
    paths = [Path("/a\nb.jpg"), Path(os.fsdecode(b"/caf\xe9.jpg")), Path("/日本 ' %.jpg")]
    catalog.apply(Transaction(files=[_photo(path, id_) for id_, path in enumerate(paths, start=1)]))
    assert [record.path for record in catalog.records([1, 2, 3])] == paths
    assert set(catalog.known(paths)) == set(paths)


def test_a_path_holds_one_file(catalog: CatalogWriter) -> None:
    catalog.apply(Transaction(files=[_photo("/a", 1)], segments=[_segment(1, 1)]))
    catalog.apply(Transaction(files=[_photo("/a", 2)], segments=[_segment(2, 1)]))
    assert [record.id for record in catalog.records([1, 2])] == [2]
    snapshot = catalog.snapshot(Kind.PHOTO)
    assert (snapshot.generation, snapshot.deleted.tolist()) == (2, [1])
    assert catalog.count(Kind.PHOTO) == 1


def test_a_move_keeps_the_item_and_takes_the_place(catalog: CatalogWriter) -> None:
    catalog.apply(Transaction(files=[_photo("/a", 1), _photo("/b", 2)], segments=[_segment(1, 2)]))
    (known,) = catalog.known([Path("/a")]).values()
    catalog.apply(Transaction(moves=[Move(file_id=known.id, path=Path("/b"), mtime_ns=9)]))
    assert [(record.id, record.path) for record in catalog.records([1, 2])] == [(1, Path("/b"))]
    assert catalog.known([Path("/b")])[Path("/b")].mtime_ns == 9
    assert catalog.snapshot(Kind.PHOTO).deleted.tolist() == [2]


def test_files_below_a_folder(catalog: CatalogWriter) -> None:
    paths = ["/p/a", "/p/q/b", "/p.jpg", "/pq/c", "/o"]
    catalog.apply(Transaction(files=[_photo(path, id_) for id_, path in enumerate(paths, start=1)]))

    def below(*roots: str) -> list[str]:
        ids = catalog.files_below([Path(root) for root in roots])
        return sorted(str(path) for path in catalog.paths(ids).values())

    assert below("/p") == ["/p/a", "/p/q/b"]
    assert below("/p/q", "/o") == ["/o", "/p/q/b"]
    assert below("/") == sorted(paths)
    assert below("/nowhere") == []


def test_a_merge_swaps_segments_and_forgets_the_deleted(catalog: CatalogWriter) -> None:
    files = [_photo("/a", 1), _photo("/b", 2)]
    catalog.apply(Transaction(files=files, segments=[_segment(1, 1), _segment(2, 1)]))
    catalog.apply(Transaction(removed=list(catalog.files_below([Path("/a")]))))
    merge = Merge(kind=Kind.PHOTO, old=[1, 2], new=[_segment(3, 1)], purged=np.array([1]), base=0)
    catalog.merge(merge)
    catalog.rebase(Kind.PHOTO, SavedIndexMeta(number=3, plan="", seal=""))
    snapshot = catalog.snapshot(Kind.PHOTO)
    assert (snapshot.segments, snapshot.base) == ((_segment(3, 1),), 3)
    assert (snapshot.deleted.tolist(), catalog.count(Kind.PHOTO)) == ([], 1)
    assert catalog.snapshot(Kind.TEXT).base == 0


def test_a_change_that_fails_changes_nothing(catalog: CatalogWriter) -> None:
    catalog.apply(Transaction(files=[_photo("/a", 1)], segments=[_segment(1, 1)]))
    with pytest.raises(Exception, match="UNIQUE"):
        catalog.apply(Transaction(files=[_photo("/b", 1)], segments=[_segment(2, 1)]))
    assert catalog.known([Path("/b")]) == {}
    assert catalog.facts().generation == 1

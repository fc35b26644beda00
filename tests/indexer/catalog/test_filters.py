"""Which items a filter lets through: a small catalog, the answers worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.changes import FileState, Move, NewFile, Transaction
from indexer.catalog.meta import LibraryMeta
from indexer.catalog.writer import CatalogWriter
from indexer.core.errors import UsageError
from indexer.core.filters import (
    AllOf,
    AnyOf,
    CameraName,
    DateRange,
    FileType,
    Filter,
    HasOrientation,
    HasTag,
    InFolder,
    MinRating,
    NearPosition,
    Not,
    PlaceName,
)
from indexer.core.gazetteer import EARTH_KM
from indexer.core.types import Kind, Metadata, Orientation, SegmentRow

ROME = {"latitude": 41.9, "longitude": 12.5, "place": "Rome, Italy"}
FIJI = {"latitude": -17.0, "longitude": 179.99, "place": "Suva, Fiji"}

ABOUT = {
    "/pics/Italy 2019/a.jpg": Metadata(
        taken=datetime(2019, 7, 14, 18, 3), camera="Fujifilm X100V", rating=5, width=4, height=3,
        keywords=("Famille", "Été"), **ROME,
    ),
    "/pics/Italy 2019/b.JPEG": Metadata(
        taken=datetime(2019, 12, 31, 23, 59, 59), camera="Canon EOS R5", rating=3,
        width=3, height=4, keywords=("work",), title="A red boat",
    ),
    "/pics/sea/c.png": Metadata(
        taken=datetime(2020, 1, 1), camera="Canon EOS 5D", rating=-1, width=4, height=4, **FIJI
    ),
    "/pics/sea/d.heic": Metadata(),
}  # fmt: skip


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[CatalogWriter]:
    """Photos 1 to 4 as above, and text 5 beside the first."""
    path = tmp_path / "catalog.sqlite"
    CatalogWriter.create(path, LibraryMeta(model="m", fingerprint="f", dim=2, hubness_k=16))
    opened = CatalogWriter.open(path)
    opened.apply(Transaction(roots=[Path("/pics")]))
    files = [
        NewFile(state=_state(name), ids=range(id_, id_ + 1), texts=("",), about=about)
        for id_, (name, about) in enumerate(ABOUT.items(), start=1)
    ]
    note = _state("/pics/Italy 2019/note.txt", Kind.TEXT)
    files.append(NewFile(state=note, ids=range(5, 6), texts=("boats are sailing",)))
    rows = [
        SegmentRow(number=number, kind=kind, rows=count)
        for number, (kind, count) in enumerate([(Kind.PHOTO, 4), (Kind.TEXT, 1)])
    ]
    opened.apply(Transaction(files=files, segments=rows))
    yield opened
    opened.close()


def _state(name: str, kind: Kind = Kind.PHOTO) -> FileState:
    digest = name.encode()
    return FileState(path=Path(name), kind=kind, size=1, mtime_ns=1, digest=digest, reader="r")


def _ids(catalog: CatalogWriter, where: Filter, kind: Kind = Kind.PHOTO) -> list[int]:
    """What a selection lets through of all items of a kind."""
    chosen, every = catalog.selected(kind, where), catalog.item_ids(kind)
    return every[chosen.holds(every)].tolist()


CASES: list[tuple[Filter, list[int]]] = [
    (AllOf(), [1, 2, 3, 4]),
    (DateRange(since=datetime(2019, 12, 31, 23, 59, 59)), [2, 3]),
    (DateRange(until=datetime(2020, 1, 1)), [1, 2]),
    (DateRange(since=datetime(2019, 8, 1), until=datetime(2020, 1, 1)), [2]),
    (DateRange(), [1, 2, 3]),
    (CameraName(name="x100"), [1]),
    (CameraName(name="canon r5"), [2]),
    (CameraName(name="CANON"), [2, 3]),
    (CameraName(name="100%"), []),
    (AnyOf(filters=(CameraName(name="fuji"), CameraName(name="r5"))), [1, 2]),
    (HasTag(name="FAMILLE"), [1]),
    (HasTag(name="été"), [1]),
    (HasTag(name="fam"), []),
    (MinRating(at_least=3), [1, 2]),
    (HasOrientation(orientation=Orientation.LANDSCAPE), [1]),
    (HasOrientation(orientation=Orientation.PORTRAIT), [2]),
    (HasOrientation(orientation=Orientation.SQUARE), [3]),
    (FileType(suffixes=(".jpg", ".jpeg")), [1, 2]),
    (InFolder(folder=Path("/pics/sea")), [3, 4]),
    (InFolder(folder="italy"), [1, 2]),
    (InFolder(folder="ITALY 2019"), [1, 2]),
    (InFolder(folder="2019 italy"), []),
    (InFolder(folder="pics"), [1, 2, 3, 4]),
    (InFolder(folder='"; DROP'), []),
    (CameraName(name="Canon EOS", whole=True), []),
    (CameraName(name="canon eos r5", whole=True), [2]),
    (Not(filter=CameraName(name="canon eos r5", whole=True)), [1, 3, 4]),
    (PlaceName(name="rome, italy"), [1]),
    (PlaceName(name="italy"), [1]),
    (NearPosition(latitude=41.9, longitude=12.5, km=1), [1]),
    (NearPosition(latitude=-17.0, longitude=-179.99, km=3), [3]),  # over the date line
    (Not(filter=CameraName(name="canon")), [1, 4]),
    (AnyOf(filters=(HasTag(name="work"), MinRating(at_least=5))), [1, 2]),
    (AllOf(filters=(CameraName(name="canon"), DateRange(since=datetime(2020, 1, 1)))), [3]),
    (
        AllOf(filters=(Not(filter=HasTag(name="été")), Not(filter=PlaceName(name="italy")))),
        [2, 3, 4],
    ),
    (AnyOf(filters=()), []),
]


@pytest.mark.parametrize(("where", "ids"), CASES)
def test_a_filter_lets_through(catalog: CatalogWriter, where: Filter, ids: list[int]) -> None:
    assert _ids(catalog, where) == ids


@pytest.mark.parametrize(("where", "ids"), CASES)
def test_a_selection_is_the_same_whichever_side_it_names(
    catalog: CatalogWriter, where: Filter, ids: list[int]
) -> None:
    others = [id_ for id_ in (1, 2, 3, 4) if id_ not in ids]
    jpeg = [id_ for id_ in ids if id_ in (1, 2)]
    assert _ids(catalog, where) == ids
    assert _ids(catalog, Not(filter=where)) == others
    assert _ids(catalog, AllOf(filters=(where, FileType(suffixes=(".jpg", ".jpeg"))))) == jpeg
    assert _ids(catalog, AnyOf(filters=(where, Not(filter=where)))) == [1, 2, 3, 4]
    assert _ids(catalog, AllOf(filters=(where, Not(filter=where)))) == []


@pytest.mark.parametrize(
    ("where", "left_out"),
    [
        (AllOf(), []),
        (DateRange(), [4]),
        (Not(filter=MinRating(at_least=5)), [1]),
        (Not(filter=HasTag(name="work")), [2]),
        (Not(filter=PlaceName(name="fiji")), [3]),
        (AllOf(filters=(DateRange(), Not(filter=HasTag(name="fam")))), [4]),
        (AllOf(filters=(DateRange(), Not(filter=HasTag(name="work")))), [2, 4]),
        (InFolder(folder=Path("/pics")), []),
        (InFolder(folder=Path("/pics/Italy 2019")), [3, 4]),
        (FileType(suffixes=(".jpg", ".jpeg", ".png")), [4, 5]),
    ],
)
def test_what_lets_most_through_names_the_others(
    catalog: CatalogWriter, where: Filter, left_out: list[int]
) -> None:
    chosen = catalog.selected(Kind.PHOTO, where)
    assert (chosen.all_but, chosen.ids.tolist()) == (True, left_out)


def test_a_photo_that_was_never_described_is_not_let_through(catalog: CatalogWriter) -> None:
    old = NewFile(state=_state("/pics/old.jpg"), ids=range(6, 7), texts=("",))
    row = SegmentRow(number=2, kind=Kind.PHOTO, rows=1)
    catalog.apply(Transaction(files=[old], segments=[row]))
    assert _ids(catalog, DateRange()) == [1, 2, 3]
    assert _ids(catalog, Not(filter=DateRange())) == [4, 6]


def test_frames_of_a_video_are_selected_together(catalog: CatalogWriter) -> None:
    video = NewFile(
        state=_state("/pics/clip.mp4"),
        ids=range(6, 9),
        texts=("", "", ""),
        times=(0.0, 5.0, 10.0),
        about=Metadata(taken=datetime(2021, 1, 1)),
    )
    row = SegmentRow(number=2, kind=Kind.PHOTO, rows=3)
    catalog.apply(Transaction(files=[video], segments=[row]))
    assert catalog.selected(Kind.PHOTO, DateRange()).ids.tolist() == [4]
    assert _ids(catalog, DateRange()) == [1, 2, 3, 6, 7, 8]
    assert _ids(catalog, Not(filter=DateRange(since=datetime(2021, 1, 1)))) == [1, 2, 3, 4]


def test_texts_are_filtered_by_folder_and_type(catalog: CatalogWriter) -> None:
    assert _ids(catalog, InFolder(folder="italy"), Kind.TEXT) == [5]
    assert _ids(catalog, FileType(suffixes=(".txt",)), Kind.TEXT) == [5]
    assert _ids(catalog, MinRating(at_least=1), Kind.TEXT) == []


def test_a_circle_ends_where_it_should(catalog: CatalogWriter) -> None:
    # One degree of a meridian, by the formula of its length.
    degree = np.pi * EARTH_KM / 180
    for km, ids in ((degree + 0.001, [1]), (degree - 0.001, [])):
        near = NearPosition(latitude=42.9, longitude=12.5, km=km)
        assert _ids(catalog, near) == ids


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("Orvieto, Italy", True),
        ("Duomo, ORVIETO, Umbria, Italia", True),
        ("Orvieto", True),
        ("Orvieto, France", False),
        ("Orvieto Road, Italy", False),
        ("Italy", False),
    ],
)
def test_a_town_is_found_by_the_place_that_a_photo_without_position_says(
    tmp_path: Path, place: str, found: bool
) -> None:
    near = NearPosition(
        latitude=42.7, longitude=12.1, km=5, names=("Orvieto",), ends=("Orvieto", "Italy", "Italia")
    )
    with_place = [Metadata(place=place), Metadata(place=place, latitude=0.0, longitude=0.0)]
    path = tmp_path / "catalog.sqlite"
    CatalogWriter.create(path, LibraryMeta(model="m", fingerprint="f", dim=2, hubness_k=16))
    opened = CatalogWriter.open(path)
    files = [
        NewFile(state=_state(f"/{id_}.jpg"), ids=range(id_, id_ + 1), texts=("",), about=about)
        for id_, about in enumerate(with_place, start=1)
    ]
    opened.apply(Transaction(files=files, segments=[SegmentRow(number=1, kind=Kind.PHOTO, rows=2)]))
    assert _ids(opened, near) == ([1] if found else [])
    assert _ids(opened, Not(filter=near)) == ([2] if found else [1, 2])
    opened.close()


def test_a_circle_off_the_earth_is_refused() -> None:
    with pytest.raises(UsageError, match="no circle of 5 km around 91, 0 on earth"):
        NearPosition(latitude=91, longitude=0, km=5)


def test_newest_first(catalog: CatalogWriter) -> None:
    assert catalog.newest(Kind.PHOTO, AllOf(), 9) == [3, 2, 1, 4]
    assert catalog.newest(Kind.PHOTO, CameraName(name="canon"), 1) == [3]


def test_words_are_found_in_captions_names_and_places(catalog: CatalogWriter) -> None:
    def found(words: str, kind: Kind = Kind.PHOTO) -> list[int]:
        return [id_ for id_, _ in catalog.word_matches(words, kind, 9)]

    assert found("boats") == [2]  # "A red boat"
    assert found("ete") == [1]  # a keyword, without its accents
    assert found("fiji") == [3]
    assert found("the sea") == [4, 3]  # 4 has fewer other words
    assert found("of the and") == []
    assert found("a picture of boats") == [2]
    assert found("boat", Kind.TEXT) == [5]


def test_words_are_found_among_what_a_filter_lets_through(catalog: CatalogWriter) -> None:
    (best, other) = catalog.word_matches("the sea", Kind.PHOTO, 9)
    fiji = catalog.selected(Kind.PHOTO, PlaceName(name="fiji"))
    assert other[0] == 3
    assert catalog.word_matches("the sea", Kind.PHOTO, 1) == [best]
    assert catalog.word_matches("the sea", Kind.PHOTO, 1, among=fiji.holds) == [other]
    dated = catalog.selected(Kind.PHOTO, DateRange())
    assert dated.all_but
    assert catalog.word_matches("the sea", Kind.PHOTO, 9, among=dated.holds) == [other]


def test_all_the_words_or_none(catalog: CatalogWriter) -> None:
    def found(words: str) -> list[int]:
        return [id_ for id_, _ in catalog.word_matches(words, Kind.PHOTO, 9, every=True)]

    assert found("a red boat") == [2]
    assert found("red sea") == []
    assert found("the fiji sea") == [3]  # of its place and its folder


def test_a_move_brings_its_words_along(catalog: CatalogWriter) -> None:
    again = Metadata(caption="a storm", keywords=("wind",))
    move = Move(file_id=3, path=Path("/pics/new/storm_3.png"), mtime_ns=2, stamp="s", about=again)
    catalog.apply(Transaction(moves=[move]))
    assert [id_ for id_, _ in catalog.word_matches("new storm", Kind.PHOTO, 9)] == [3]
    assert catalog.word_matches("fiji", Kind.PHOTO, 9) == []
    assert _ids(catalog, HasTag(name="wind")) == [3]
    (record,) = catalog.records([3])
    assert record.about == again


def test_what_is_removed_is_forgotten(catalog: CatalogWriter) -> None:
    catalog.apply(Transaction(removed=[1]))
    assert catalog.word_matches("famille", Kind.PHOTO, 9) == []
    assert _ids(catalog, HasTag(name="famille")) == []
    assert catalog.described().cameras == (("Canon EOS 5D", 1), ("Canon EOS R5", 1))


def test_what_photos_say_is_summed_up(catalog: CatalogWriter) -> None:
    about = catalog.described()
    assert (about.first, about.last) == (datetime(2019, 7, 14, 18, 3), datetime(2020, 1, 1))
    assert (about.dated, about.placed) == (3, 2)
    assert len(about.cameras) == 3

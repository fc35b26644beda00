"""Which items a filter lets through: a small catalog, the answers worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog import Catalog
from indexer.changes import Change, FileState, Move, NewFile
from indexer.errors import UsageError
from indexer.facts import Facts
from indexer.places import EARTH_KM
from indexer.types import Kind, Metadata, Orientation
from indexer.wanted import (
    AllOf,
    AnyOf,
    Camera,
    Filter,
    Held,
    In,
    Near,
    Not,
    Place,
    Rated,
    Tag,
    Taken,
    Type,
)

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
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Photos 1 to 4 as above, and text 5 beside the first."""
    path = tmp_path / "catalog.sqlite"
    Catalog.create(path, Facts(model="m", fingerprint="f", dim=2, hubness_k=16))
    opened = Catalog.open(path)
    opened.apply(Change(roots=[Path("/pics")]))
    files = [
        NewFile(state=_state(name), ids=range(id_, id_ + 1), texts=("",), about=about)
        for id_, (name, about) in enumerate(ABOUT.items(), start=1)
    ]
    note = _state("/pics/Italy 2019/note.txt", Kind.TEXT)
    files.append(NewFile(state=note, ids=range(5, 6), texts=("boats are sailing",)))
    opened.apply(Change(files=files))
    yield opened
    opened.close()


def _state(name: str, kind: Kind = Kind.PHOTO) -> FileState:
    digest = name.encode()
    return FileState(path=Path(name), kind=kind, size=1, mtime_ns=1, digest=digest, reader="r")


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        (AllOf(), [1, 2, 3, 4]),
        (Taken(since=datetime(2019, 12, 31, 23, 59, 59)), [2, 3]),
        (Taken(until=datetime(2020, 1, 1)), [1, 2]),
        (Taken(since=datetime(2019, 8, 1), until=datetime(2020, 1, 1)), [2]),
        (Taken(), [1, 2, 3]),
        (Camera(name="x100"), [1]),
        (Camera(name="canon r5"), [2]),
        (Camera(name="CANON"), [2, 3]),
        (Camera(name="100%"), []),
        (Tag(name="FAMILLE"), [1]),
        (Tag(name="été"), [1]),
        (Tag(name="fam"), []),
        (Rated(at_least=3), [1, 2]),
        (Held(orientation=Orientation.LANDSCAPE), [1]),
        (Held(orientation=Orientation.PORTRAIT), [2]),
        (Held(orientation=Orientation.SQUARE), [3]),
        (Type(suffixes=(".jpg", ".jpeg")), [1, 2]),
        (In(folder=Path("/pics/sea")), [3, 4]),
        (In(folder="italy"), [1, 2]),
        (In(folder="ITALY 2019"), [1, 2]),
        (In(folder="2019 italy"), []),
        (In(folder="pics"), [1, 2, 3, 4]),
        (In(folder='"; DROP'), []),
        (Place(name="italy"), [1]),
        (Near(latitude=41.9, longitude=12.5, km=1), [1]),
        (Near(latitude=-17.0, longitude=-179.99, km=3), [3]),  # over the date line
        (Not(filter=Camera(name="canon")), [1, 4]),
        (AnyOf(filters=(Tag(name="work"), Rated(at_least=5))), [1, 2]),
        (AllOf(filters=(Camera(name="canon"), Taken(since=datetime(2020, 1, 1)))), [3]),
        (AnyOf(filters=()), []),
    ],
)
def test_a_filter_lets_through(catalog: Catalog, where: Filter, ids: list[int]) -> None:
    assert catalog.matching(Kind.PHOTO, where).tolist() == ids


def test_texts_are_filtered_by_folder_and_type(catalog: Catalog) -> None:
    assert catalog.matching(Kind.TEXT, In(folder="italy")).tolist() == [5]
    assert catalog.matching(Kind.TEXT, Type(suffixes=(".txt",))).tolist() == [5]
    assert catalog.matching(Kind.TEXT, Rated(at_least=1)).tolist() == []


def test_a_circle_ends_where_it_should(catalog: Catalog) -> None:
    # One degree of a meridian, by the formula of its length.
    degree = np.pi * EARTH_KM / 180
    for km, ids in ((degree + 0.001, [1]), (degree - 0.001, [])):
        near = Near(latitude=42.9, longitude=12.5, km=km)
        assert catalog.matching(Kind.PHOTO, near).tolist() == ids


def test_a_circle_off_the_earth_is_refused() -> None:
    with pytest.raises(UsageError, match="no circle of 5 km around 91, 0 on earth"):
        Near(latitude=91, longitude=0, km=5)


def test_newest_first(catalog: Catalog) -> None:
    assert catalog.newest(Kind.PHOTO, AllOf(), 9) == [3, 2, 1, 4]
    assert catalog.newest(Kind.PHOTO, Camera(name="canon"), 1) == [3]


def test_words_are_found_in_captions_names_and_places(catalog: Catalog) -> None:
    def found(words: str, kind: Kind = Kind.PHOTO) -> list[int]:
        return [id_ for id_, _ in catalog.worded(words, kind, 9)]

    assert found("boats") == [2]  # "A red boat"
    assert found("ete") == [1]  # a keyword, without its accents
    assert found("fiji") == [3]
    assert found("the sea") == [4, 3]  # 4 has fewer other words
    assert found("of the and") == []
    assert found("boat", Kind.TEXT) == [5]
    assert catalog.worded("sea", Kind.PHOTO, 9, among=catalog.condition(Place(name="fiji"))) == [
        (3, pytest.approx(dict(catalog.worded("sea", Kind.PHOTO, 9))[3]))
    ]


def test_a_move_brings_its_words_along(catalog: Catalog) -> None:
    again = Metadata(caption="a storm", keywords=("wind",))
    move = Move(file_id=3, path=Path("/pics/new/storm_3.png"), mtime_ns=2, stamp="s", about=again)
    catalog.apply(Change(moves=[move]))
    assert [id_ for id_, _ in catalog.worded("new storm", Kind.PHOTO, 9)] == [3]
    assert catalog.worded("fiji", Kind.PHOTO, 9) == []
    assert catalog.matching(Kind.PHOTO, Tag(name="wind")).tolist() == [3]
    (record,) = catalog.records([3])
    assert record.about == again


def test_what_is_removed_is_forgotten(catalog: Catalog) -> None:
    catalog.apply(Change(removed=[1]))
    assert catalog.worded("famille", Kind.PHOTO, 9) == []
    assert catalog.matching(Kind.PHOTO, Tag(name="famille")).tolist() == []
    assert catalog.described().cameras == (("Canon EOS 5D", 1), ("Canon EOS R5", 1))


def test_what_photos_say_is_summed_up(catalog: Catalog) -> None:
    about = catalog.described()
    assert (about.first, about.last) == (datetime(2019, 7, 14, 18, 3), datetime(2020, 1, 1))
    assert (about.dated, about.placed) == (3, 2)
    assert len(about.cameras) == 3

"""Filters as people write them, in a query and as options."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from indexer.core.file_types import RAW_SUFFIXES
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
from indexer.core.types import Orientation
from retrieval.errors import QueryInvalid
from retrieval.search import parse_query
from retrieval.search.filter_syntax import parse_filters, split_filters, written_filters


@pytest.mark.parametrize(
    ("written", "words", "where"),
    [
        ("a beach after:2019", "a beach", DateRange(since=datetime(2019, 1, 1))),
        ("before:2019-07-14 beach", "beach", DateRange(until=datetime(2019, 7, 14))),
        ("after:2019/07", "", DateRange(since=datetime(2019, 7, 1))),
        ("camera:x100", "", CameraName(name="x100")),
        ('dogs camera:"Canon R5" play', "dogs play", CameraName(name="Canon R5")),
        ('camera:"=Canon R5"', "", CameraName(name="Canon R5", whole=True)),
        ('near:"=Roma, Italia"', "", PlaceName(name="Roma, Italia")),
        ('tag:"12"" singles" a dog', "a dog", HasTag(name='12" singles')),
        ('in:"summer 2019"', "", InFolder(folder="summer 2019")),
        ("in:/photos/2019", "", InFolder(folder=Path("/photos/2019"))),
        ("Tag:family", "", HasTag(name="family")),
        ("-tag:family", "", Not(filter=HasTag(name="family"))),
        ("type:JPEG", "", FileType(suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"))),
        ("type:.png", "", FileType(suffixes=(".png",))),
        ("type:cr2", "", FileType(suffixes=(".cr2",))),
        ("type:RAW", "", FileType(suffixes=tuple(sorted(RAW_SUFFIXES)))),
        ("orientation:Portrait", "", HasOrientation(orientation=Orientation.PORTRAIT)),
        ("rating:4", "", MinRating(at_least=4)),
        ("near:41.9,12.5", "", NearPosition(latitude=41.9, longitude=12.5, km=25.0)),
        ("near:-41.9,12.5,0.5", "", NearPosition(latitude=-41.9, longitude=12.5, km=0.5)),
        ("near:italy", "", PlaceName(name="Italy")),
        ("near:Holland", "", PlaceName(name="The Netherlands", others=("Netherlands", "Holland"))),
        ("near:Texas,50", "", PlaceName(name="Texas, United States", others=("Texas",))),
        ("16:9 and -cats: yes", "16:9 and -cats: yes", None),
        ("what is in: a box", "what is in: a box", None),
        (
            "camera:canon camera:nikon tag:a tag:b",
            "",
            AllOf(
                filters=(
                    AnyOf(filters=(CameraName(name="canon"), CameraName(name="nikon"))),
                    HasTag(name="a"),
                    HasTag(name="b"),
                )
            ),
        ),
    ],
)
def test_filters_part_from_words(written: str, words: str, where: Filter | None) -> None:
    query = parse_query(written)
    assert (query.text, query.where) == (words, where)


@pytest.mark.parametrize(
    ("value", "latitude", "longitude", "km"),
    [
        ("Rome", 41.8919, 12.5113, 25.0),
        ("Rome,5", 41.8919, 12.5113, 5.0),
        ("Rome, Georgia, 10", 34.2570, -85.1647, 10.0),
        ("Tokyo", 35.6895, 139.6917, 25.0),
    ],
)
def test_a_town_has_a_position(value: str, latitude: float, longitude: float, km: float) -> None:
    near = parse_filters([("near", value)])
    assert isinstance(near, NearPosition)
    assert (near.latitude, near.longitude) == pytest.approx((latitude, longitude), abs=1e-3)
    assert near.km == km


def test_a_town_is_known_by_its_names_and_what_it_lies_in() -> None:
    roma, paris = (parse_filters([("near", each)]) for each in ("Roma", "Paris, TX"))
    assert isinstance(roma, NearPosition)
    assert {"Rome", "Roma"} <= set(roma.names)
    assert {"Rome", "Roma", "Italy", "Italia"} <= set(roma.ends)
    assert isinstance(paris, NearPosition)
    assert {"Texas", "TX", "United States", "USA"} <= set(paris.ends)
    assert "Paris" not in paris.ends  # "Paris" alone is another


def test_options_join_the_words() -> None:
    query = parse_query("dogs tag:a", filters=[("min-rating", "3")])
    assert query.text == "dogs"
    assert query.where == AllOf(filters=(HasTag(name="a"), MinRating(at_least=3)))


def test_a_photo_is_filtered_by_options(tmp_path: Path) -> None:
    path = tmp_path / "a tag:b.png"
    path.touch()
    query = parse_query(str(path), filters=[("tag", "c")])
    assert (query.path, query.where) == (path, HasTag(name="c"))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("after:soon", "'soon' is not a date; write 2019, 2019-07 or 2019-07-14"),
        ("near:Atlantisburg", "no town 'Atlantisburg' is known here"),
        ("near:95,10", "near:95,10 is not a place; write 41.9,12.5,5 or Rome,5"),
        ("near:95", "near:95 is not a place"),
        ("type:exe", "type:exe is not a known file type; known are avif"),
        ("orientation:sideways", "write one of landscape, portrait, square"),
        ("rating:9", "rating:9 is not a number of stars; write 1 to 5"),
        ('tag:""', "the filter tag: has no value; write it as tag:VALUE"),
    ],
)
def test_what_cannot_be_understood_is_said(written: str, message: str) -> None:
    with pytest.raises(QueryInvalid) as caught:
        parse_query(written)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("written", "notes"),
    [
        ("near:Rome", ("near:Rome is taken as Rome, Italy (25 km)",)),
        ("near:Rome,5 beach", ("near:Rome,5 is taken as Rome, Italy (5 km)",)),
        ("-near:Greece", ("near:Greece is taken as the country Greece",)),
        ("near:Texas near:Texas", ("near:Texas is taken as Texas, United States",)),
        ("near:Luxembourg,5", ("near:Luxembourg,5 is taken as Luxembourg, Luxembourg (5 km)",)),
        ("near:41.9,12.5,5 tag:a", ()),
    ],
)
def test_it_is_told_which_place_is_taken(written: str, notes: tuple[str, ...]) -> None:
    assert parse_query(written).notes == notes


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("camara:x100", "camera:x100?"),
        ("beach befor:2019", "before:2019?"),
        ("tags:family", "tag:family?"),
        ("date:2019", "after: or before:?"),
        ("place:Rome", "near:Rome?"),
        ("keyword:dog", "tag:dog?"),
    ],
)
def test_a_misspelt_filter_gets_a_hint(written: str, meant: str) -> None:
    query = parse_query(written)
    assert (query.text, query.where) == (written, None)
    assert query.hint.endswith(f"is searched for as words; did you mean {meant}")


@pytest.mark.parametrize("written", ["16:9", "a title: dogs", "10:30", "note:this", "C:\\x"])
def test_other_words_with_a_colon_get_none(written: str) -> None:
    assert parse_query(written).hint == ""


def test_a_folder_is_found_in_whatever_code_points_it_lies() -> None:
    composed, apart = Path("/photos/Zürich"), Path("/photos/Zu\u0308rich")
    expected = AnyOf(filters=(InFolder(folder=composed), InFolder(folder=apart)))
    assert parse_query(f"in:{composed}").where == expected


@pytest.mark.parametrize(
    "value", ["x100", "canon r5", '12" singles', '"', '""', '"a" b', "a\tb", "a\u00a0b", "=a b"]
)
def test_a_value_is_written_so_that_it_is_read_again(value: str) -> None:
    pairs = [("tag", value), ("-camera", value)]
    assert split_filters(f"a {written_filters(pairs)} dog") == ("a dog", pairs)


@pytest.mark.parametrize("value", ["~nobody-here/a", "/a\0b", "/a\ud800"])
def test_what_is_no_path_is_refused(value: str) -> None:
    with pytest.raises(QueryInvalid, match=r"in:.* is not a path"):
        parse_filters([("in", value)])

"""What photos have, as filters to choose from: each gives as many photos as its count says."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

from indexer.catalog.facets import FacetGroup
from indexer.core.types import Kind
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval.search import Searcher, parse_query
from retrieval.search.facets import Facets, FacetValue, facets
from retrieval.search.filter_syntax import split_filters
from tests.clips import clip, scene
from tests.fakes import ColourEncoder

TAKEN, EXIF, MAKE, MODEL, KEYWORDS, RATING = 0x9003, 0x8769, 0x010F, 0x0110, 0x9C9E, 0x4746
CAMERAS = (("Apple", "iPhone 12"), ("Apple", "iPhone 12 Pro"), ("NIKON CORPORATION", "NIKON D750"))
PLACES = ((41.9, 12.5), (45.44, 12.33), (48.86, 2.35), (30.27, -97.74), None)
WORDS = ("Familie", "familie", '12" single', "Süden", "rote Katze")
FOLDERS = ("2019", "2019/Sommer am See", "2020", "2020/a/b", "Zu\u0308rich")
SIZES = ((60, 40), (40, 60), (50, 50))


def photo(path: Path, chosen: random.Random) -> Path:
    """Draw a photo that says this or that about itself."""
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = chosen.choice(CAMERAS)
    exif[RATING] = chosen.randrange(6)
    exif[KEYWORDS] = ";".join(chosen.sample(WORDS, chosen.randrange(3))).encode("utf-16-le")
    if chosen.random() < 0.8:
        month, day = chosen.randrange(1, 13), chosen.randrange(1, 28)
        exif.get_ifd(EXIF)[TAKEN] = f"{chosen.choice((2018, 2019))}:{month:02}:{day:02} 12:00:00"
    where = chosen.choice(PLACES)
    if where is not None:
        north, east = where
        exif.get_ifd(0x8825).update(
            {1: "N" if north > 0 else "S", 2: (abs(north), 0.0, 0.0)}
            | {3: "E" if east > 0 else "W", 4: (abs(east), 0.0, 0.0)}
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", chosen.choice(SIZES), (chosen.randrange(256), 0, 0))
    image.save(path, exif=exif)
    return path


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Library, Searcher]]:
    """Some fifty photos, a film of several frames, and a text of two passages."""
    home = tmp_path_factory.mktemp("facets")
    folder, chosen = home / "photos", random.Random(0)
    for number in range(50):
        suffix = chosen.choice((".jpg", ".JPEG", ".png", ".webp"))
        photo(folder / chosen.choice(FOLDERS) / f"{number}{suffix}", chosen)
    clip(
        folder / "2019" / "film.mp4", [(scene("red", "white"), 5.0), (scene("blue", "white"), 5.0)]
    )
    (folder / "2020" / "note.txt").write_text("a red door\na blue door\n", encoding="utf-8")
    with Library.create(home / "library", ColourEncoder()) as library:
        index_folders(library, ColourEncoder(), [folder])
        yield library, Searcher(library, ColourEncoder())


QUERIES = (
    "",
    "after:2019",
    'camera:"=Apple iPhone 12" rating:2',
    "camera:apple near:Italy",
    "type:jpg -tag:familie orientation:landscape",
    "tag:familie in:2019 before:2019-06",
    "near:Rome type:video",
    'near:"=Austin, Texas, United States" -rating:3',
)


def found(searcher: Searcher, written: str, kind: Kind = Kind.PHOTO) -> int:
    """Count what a search by filters alone finds; without any, all that there is."""
    written = written or "-in:/nowhere"
    return len(searcher.search(parse_query(written), kind=kind, top=0))


def every(values: Sequence[FacetValue]) -> Iterator[FacetValue]:
    """Yield values with all below them."""
    for value in values:
        yield value
        yield from every(value.children)


GROUPS = {
    FacetGroup.DATES: {"after", "before"},
    FacetGroup.PLACES: {"near"},
    FacetGroup.CAMERAS: {"camera"},
    FacetGroup.FOLDERS: {"in"},
    FacetGroup.KEYWORDS: set(),
    FacetGroup.TYPES: {"type"},
    FacetGroup.RATINGS: {"rating"},
    FacetGroup.ORIENTATIONS: {"orientation"},
}


@pytest.mark.parametrize("query", QUERIES)
def test_a_value_gives_as_many_as_its_count_says(
    searcher: tuple[Library, Searcher], query: str
) -> None:
    check(searcher, _apart(query), random.Random(0), most=1_000)


@pytest.mark.parametrize("seed", range(8))
def test_so_do_values_beside_any_others(searcher: tuple[Library, Searcher], seed: int) -> None:
    chosen = random.Random(seed)
    told = facets(searcher[0], Kind.PHOTO, [])
    groups = chosen.sample(sorted(told.groups), chosen.randrange(1, 4))
    values = [chosen.choice(list(every(told.groups[group]))).filter for group in groups]
    away = chosen.choice(list(every(told.groups[chosen.choice(list(FacetGroup))]))).filter
    written = [part for each in values for part in _apart(each)]
    check(searcher, [*written, f"-{_apart(away)[0]}"], chosen, most=6)


def check(
    searcher: tuple[Library, Searcher], written: list[str], chosen: random.Random, *, most: int
) -> None:
    """Compare the counts of some values of each group with what searches find."""
    library, search = searcher
    told = facets(library, Kind.PHOTO, split_filters(" ".join(written))[1])
    assert told.total == found(search, " ".join(written))
    assert set(told.groups) == set(FacetGroup)
    for group, values in told.groups.items():
        others = [each for each in written if each.partition(":")[0] not in GROUPS[group]]
        some = list(every(values))
        for value in chosen.sample(some, min(most, len(some))):
            assert value.count == found(search, " ".join([*others, value.filter])), (group, value)


def _apart(query: str) -> list[str]:
    """Part the filters of a query, each as it was written."""
    marks = ("after:", "before:", "near:", "camera:", "in:", "tag:", "type:", "rating:", "orient")
    parts: list[str] = []
    for word in query.split():
        if word.lstrip("-").startswith(marks):
            parts.append(word)
        else:
            parts[-1] += f" {word}"
    return parts


def test_texts_have_folders_and_types(searcher: tuple[Library, Searcher]) -> None:
    library, search = searcher
    told = facets(library, Kind.TEXT, [])
    assert (told.total, found(search, "", Kind.TEXT)) == (2, 2)
    listed = {
        group: [(each.label, each.count) for each in told.groups[group]] for group in told.groups
    }
    assert {group: values for group, values in listed.items() if values} == {
        FacetGroup.FOLDERS: [("2020", 2)],
        FacetGroup.TYPES: [("txt", 2)],
    }


def labels(told: Facets, group: FacetGroup) -> list[str]:
    return [value.label for value in told.groups[group]]


def test_values_are_in_the_order_in_which_people_look(
    searcher: tuple[Library, Searcher],
) -> None:
    told = facets(searcher[0], Kind.PHOTO, [])
    assert labels(told, FacetGroup.DATES) == ["2019", "2018"]
    months = [value.value for value in told.groups[FacetGroup.DATES][0].children]
    assert months == sorted(months, reverse=True)
    assert told.groups[FacetGroup.DATES][0].children[0].label == "November"
    assert labels(told, FacetGroup.FOLDERS) == ["2019", "2020", "Zu\u0308rich"]
    assert labels(told, FacetGroup.RATINGS) == [
        "5 stars", "4 stars or more", "3 stars or more", "2 stars or more", "1 star or more",
    ]  # fmt: skip
    cameras = told.groups[FacetGroup.CAMERAS]
    assert [each.count for each in cameras] == sorted(
        (each.count for each in cameras), reverse=True
    )


def test_a_name_within_another_is_told_apart(searcher: tuple[Library, Searcher]) -> None:
    told = facets(searcher[0], Kind.PHOTO, [])
    filters = {value.label: value.filter for value in told.groups[FacetGroup.CAMERAS]}
    assert filters["Apple iPhone 12"] == 'camera:"=Apple iPhone 12"'
    assert found(searcher[1], filters["Apple iPhone 12"]) < found(searcher[1], "camera:iphone")


def test_spellings_of_one_keyword_are_one(searcher: tuple[Library, Searcher]) -> None:
    told = facets(searcher[0], Kind.PHOTO, [])
    keywords = {value.label: value.filter for value in told.groups[FacetGroup.KEYWORDS]}
    assert keywords['12" single'] == 'tag:"12"" single"'
    assert len({label.casefold() for label in keywords}) == len(keywords) == 4


def test_what_is_chosen_is_marked_and_shown_though_nothing_has_it(
    searcher: tuple[Library, Searcher],
) -> None:
    pairs = split_filters('camera:"=Apple iPhone 12" type:video near:=Italy')[1]
    told = facets(searcher[0], Kind.PHOTO, pairs)
    (italy,) = told.groups[FacetGroup.PLACES]
    assert (italy.label, italy.count, italy.selected, italy.children) == ("Italy", 0, True, ())
    assert [
        (each.label, each.count) for each in told.groups[FacetGroup.TYPES] if each.selected
    ] == [("video", 0)]


def test_a_group_shows_so_many_values_and_says_how_many_more(
    searcher: tuple[Library, Searcher],
) -> None:
    pairs = [("orientation", "square")]
    told = facets(searcher[0], Kind.PHOTO, pairs, limit=1)
    assert [len(values) for values in told.groups.values()] == [1] * len(FacetGroup)
    assert told.more == {
        FacetGroup.DATES: 1, FacetGroup.PLACES: 2, FacetGroup.CAMERAS: 2, FacetGroup.FOLDERS: 2,
        FacetGroup.KEYWORDS: 3, FacetGroup.TYPES: 2, FacetGroup.RATINGS: 4,
        FacetGroup.ORIENTATIONS: 2,
    }  # fmt: skip
    (held,) = told.groups[FacetGroup.ORIENTATIONS]
    assert (held.label, held.selected) == ("square", True)
    only = facets(searcher[0], Kind.PHOTO, pairs, groups=[FacetGroup.CAMERAS])
    assert set(only.groups) == {FacetGroup.CAMERAS}

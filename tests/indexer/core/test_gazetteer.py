"""Names of positions and positions of names. Distances are checked by the haversine formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from indexer.core.gazetteer import EARTH_KM, chord, gazetteer, on_sphere
from indexer.core.text_normalization import plain


@pytest.mark.parametrize(
    ("latitude", "longitude", "name"),
    [
        (41.8902, 12.4922, "Monti, Rome, Italy"),
        (30.2672, -97.7431, "Austin, Texas, United States"),
        (48.1486, 11.4610, "Pasing, Munich, Germany"),
        (55.9533, -3.1883, "Edinburgh, Scotland, United Kingdom"),
        (0.0, -30.0, ""),
    ],
)
def test_a_position_has_the_name_of_its_town(latitude: float, longitude: float, name: str) -> None:
    assert gazetteer().name(latitude, longitude) == name


@pytest.mark.parametrize(
    ("name", "within", "label"),
    [
        ("Rome", (), "Rome, Italy"),
        ("rome", ("Georgia",), "Rome, Georgia, United States"),
        ("München", (), "Munich, Germany"),
        ("東京", (), "Tokyo, Japan"),
        ("Springfield", ("Illinois",), "Springfield, Illinois, United States"),
        ("Paris", ("TX",), "Paris, Texas, United States"),
        ("Rome", ("Italia",), "Rome, Italy"),
        ("Birmingham", (), "Birmingham, England, United Kingdom"),
        ("Pueblo", (), "Pueblo, Colorado, United States"),  # also a name of Puebla
        ("Bogota", (), "Bogotá, Colombia"),  # also a town of New Jersey
        ("Cologne", (), "Köln, Germany"),  # also a town of Italy
        ("New York", (), "New York City, New York, United States"),
        ("Zu\u0308rich", (), "Zürich, Switzerland"),
    ],
)
def test_a_name_finds_the_town_that_is_meant(name: str, within: tuple[str], label: str) -> None:
    place = gazetteer().find(name, within)
    assert place is not None
    assert place.label == label


COUNTRIES = sorted({line.split("\t")[2] for line in gazetteer()._lines})


def test_no_country_is_taken_for_another() -> None:
    known = gazetteer()
    for country in COUNTRIES:
        region = known.region(country)
        assert region is not None
        assert (region.name, region.is_country) == (country, True)
        for name in region.others:
            found = known.region(name)
            assert (name, found and found.name) == (name, country)


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("USA", "United States"),
        ("u.s.", "United States"),
        ("UK", "United Kingdom"),
        ("Holland", "The Netherlands"),
        ("Deutschland", "Germany"),
        ("España", "Spain"),
        ("日本", "Japan"),
        ("England", "England, United Kingdom"),
        ("Scotland", "Scotland, United Kingdom"),
        ("Georgia", "Georgia"),
        ("Texas", "Texas, United States"),
        ("Virginia", "Virginia, United States"),  # a town of South Africa has 120,000 inhabitants
        ("Washington", None),
        ("New York", None),
        ("Bra", None),  # a code of Brazil
        ("TX", None),
        ("Atlantis", None),
    ],
)
def test_a_name_finds_the_region_that_is_meant(name: str, region: str | None) -> None:
    found = gazetteer().region(name)
    assert (found.name if found else None) == region


def test_a_state_of_a_country_is_no_country() -> None:
    georgia = gazetteer().region("Georgia", ("USA",))
    assert georgia is not None
    assert (georgia.name, georgia.is_country) == ("Georgia, United States", False)


def test_the_own_name_goes_before_other_names_and_the_larger_town_before_the_smaller() -> None:
    known = gazetteer()
    rows: dict[str, int] = {}
    for row, line in enumerate(known._lines):
        rows.setdefault(line.partition("\t")[0], row)
    for name in [*rows][::1500]:
        found = known.find(name)
        assert found is not None
        assert plain(found.name) == plain(name)
        assert found.name != name or found == known._place(rows[name])


def test_what_is_no_town() -> None:
    assert gazetteer().find("Atlantis of the deep") is None
    assert gazetteer().find("Rome", ("France",)) is None
    assert gazetteer().region("Rome") is None


def test_chords_tell_distances() -> None:
    rome, milan = (41.8919, 12.5113), (45.4643, 9.1895)
    points = on_sphere(np.array([rome[0], milan[0]]), np.array([rome[1], milan[1]]))
    (a, b), (c, d) = (map(math.radians, each) for each in (rome, milan))
    half = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    km = 2 * EARTH_KM * math.asin(math.sqrt(half))
    assert np.linalg.norm(points[0] - points[1]) == pytest.approx(chord(km), rel=1e-12)

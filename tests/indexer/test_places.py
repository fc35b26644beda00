"""Names of positions and positions of names. Distances are checked by the haversine formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from indexer.places import EARTH_KM, chord, gazetteer, on_sphere


@pytest.mark.parametrize(
    ("latitude", "longitude", "name"),
    [
        (41.8902, 12.4922, "Monti, Rome, Italy"),
        (30.2672, -97.7431, "Austin, Texas, United States"),
        (48.1486, 11.4610, "Pasing, Munich, Germany"),
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
    ],
)
def test_a_name_finds_the_town_that_is_meant(name: str, within: tuple[str], label: str) -> None:
    place = gazetteer().find(name, within)
    assert place is not None
    assert place.label == label


def test_what_is_no_town() -> None:
    assert gazetteer().find("Atlantis of the deep") is None
    assert gazetteer().find("Rome", ("France",)) is None
    assert (gazetteer().is_country("italy"), gazetteer().is_country("Rome")) == (True, False)


def test_chords_tell_distances() -> None:
    rome, milan = (41.8919, 12.5113), (45.4643, 9.1895)
    points = on_sphere(np.array([rome[0], milan[0]]), np.array([rome[1], milan[1]]))
    (a, b), (c, d) = (map(math.radians, each) for each in (rome, milan))
    half = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    km = 2 * EARTH_KM * math.asin(math.sqrt(half))
    assert np.linalg.norm(points[0] - points[1]) == pytest.approx(chord(km), rel=1e-12)

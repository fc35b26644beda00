"""Place names without a network: the nearest town of a position, and the position of a name.

`places.tsv.gz` holds the towns of 5,000 inhabitants and more, the largest first; it is made by
`scripts/make_places.py`. Source: GeoNames (geonames.org), CC BY 4.0.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

EARTH_KM = 6371.0088
"""Mean radius of the earth."""

NEAREST_KM = 100.0
"""Farther from any town, a position has no name: it is at sea or in a desert."""

CITY_KM = 15.0
"""A suburb this near to a city is named with it: "Pasing" alone would not be found by Munich."""

_CITIES = 5_000  # the first so many towns have 100,000 inhabitants or more
_FILE = Path(__file__).with_name("places.tsv.gz")

Points: TypeAlias = NDArray[np.float64]
"""Places as points of the unit sphere. Shape (n, 3)."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A town. `state` is that of the United States, else empty; the position is in degrees."""

    name: str
    state: str
    country: str
    latitude: float
    longitude: float
    others: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What a person calls it: "Rome, Italy"."""
        return ", ".join(filter(None, (self.name, self.state, self.country)))


class Gazetteer:
    """The towns of a file, the largest first; see `places`."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        fields = [line.split("\t", 5) for line in lines]
        degrees = np.array([(float(each[3]), float(each[4])) for each in fields])  # (towns, 2)
        self._points = on_sphere(degrees[:, 0], degrees[:, 1])

    def name(self, latitude: float, longitude: float) -> str:
        """Name a position by its nearest town, with the city beside it; empty far from any."""
        (here,) = on_sphere(np.array([latitude]), np.array([longitude]))
        apart = np.linalg.norm(self._points - here, axis=1)  # (towns,)
        nearest = int(apart.argmin())
        if apart[nearest] > chord(NEAREST_KM):
            return ""
        town = self._place(nearest)
        cities = np.flatnonzero(apart[:_CITIES] <= chord(CITY_KM))
        city = self._place(int(cities[0])) if len(cities) else town
        if (city.name, city.country) == (town.name, town.country) or city.country != town.country:
            return town.label
        return f"{town.name}, {city.label}"

    def find(self, name: str, within: Sequence[str] = ()) -> Place | None:
        """Return the town that a person means by a name: the largest that bears it.

        Args:
            name: in any language that the file knows.
            within: the state or country, where several towns bear the name.
        """
        wanted, outer = name.casefold(), {each.casefold() for each in within}
        by_other_name = None
        for row, line in enumerate(self._lines):
            if wanted not in line.casefold():
                continue
            place = self._place(row)
            if outer - {place.state.casefold(), place.country.casefold()}:
                continue
            if place.name.casefold() == wanted and (row < _CITIES or by_other_name is None):
                return place
            if by_other_name is None and wanted in map(str.casefold, place.others):
                by_other_name = place
        return by_other_name

    def is_country(self, name: str) -> bool:
        """Tell whether a name is that of a country."""
        wanted = f"\t{name}\t".casefold()
        return any(
            wanted in line.casefold() and line.split("\t")[2].casefold() == name.casefold()
            for line in self._lines
        )

    def _place(self, row: int) -> Place:
        """Read one line of the file."""
        name, state, country, latitude, longitude, others = self._lines[row].split("\t")
        return Place(
            name=name,
            state=state,
            country=country,
            latitude=float(latitude),
            longitude=float(longitude),
            others=tuple(others.split("|")),
        )


@cache
def gazetteer() -> Gazetteer:
    """Return the towns that ship with the package; read once a process, in 0.2 s."""
    return Gazetteer(gzip.decompress(_FILE.read_bytes()).decode().splitlines())


def on_sphere(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> Points:
    """Return positions in degrees as points of the unit sphere. Shapes (n,) → (n, 3)."""
    polar, around = np.radians(latitude), np.radians(longitude)
    return np.stack(
        [np.cos(polar) * np.cos(around), np.cos(polar) * np.sin(around), np.sin(polar)], axis=1
    )


def chord(km: float) -> float:
    """Return the straight distance of two points of the unit sphere that are `km` apart."""
    return float(2.0 * np.sin(min(km / EARTH_KM, np.pi) / 2.0))

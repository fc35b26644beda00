"""Place names without a network: find the nearest town of a position, and the place of a name.

`places.tsv.gz` contains the towns of 5,000 inhabitants and more, the largest first.
`regions.tsv.gz` contains the countries, the states of the United States and the parts of the United
Kingdom. `scripts/make_places.py` makes both. Source: GeoNames (geonames.org), CC BY 4.0; CLDR
(unicode.org).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.core.text_normalization import plain, same

EARTH_KM = 6371.0088
"""Mean radius of the earth."""

NEAREST_KM = 100.0
"""Farther from any town, a position has no name: it is at sea or in a desert."""

CITY_KM = 15.0
"""A suburb this near to a city is named with it: "Pasing" alone would not be found by Munich."""

_CITIES = 5_000  # the first so many towns have 100,000 inhabitants or more
_METROPOLISES = 2_000  # the first so many have 230,000: no state is meant by the name of one
_TOWNS, _REGIONS = (Path(__file__).with_name(f"{name}.tsv.gz") for name in ("places", "regions"))

_OF_STATES = (", United States", ", United Kingdom")
_CODE = 2  # letters of "TX", which names a state only behind a town

_BEST_KNOWN = {
    "calcutta": "Kolkata",
    "cologne": "Köln",
    "madras": "Chennai",
    "mecca": "Makkah",
    "medina": "Madinah",
    "new york": "New York City",
    "nyc": "New York City",
    "odessa": "Odesa",
    "port elizabeth": "Gqeberha",
    "roma": "Rome",
}
"""Names by which the world knows a city, and which a small town bears as its own."""

Points: TypeAlias = NDArray[np.float64]
"""Places as points of the unit sphere. Shape (n, 3)."""


@dataclass(frozen=True, kw_only=True)
class Town:
    """A town. The position is in degrees.

    `state` is that of the United States, or the part of the United Kingdom; else empty.
    """

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

    @property
    def outer(self) -> tuple[str, ...]:
        """The names of the regions in which it lies."""
        return (f"{self.state}, {self.country}", self.country) if self.state else (self.country,)


@dataclass(frozen=True, kw_only=True)
class Region:
    """A country, or a state: "Italy", or "Texas, United States".

    Attributes:
        name: the end of the names of the places in it.
        others: what it is called in English, too.
        foreign: what it is called in other languages, and its code.
    """

    name: str
    others: tuple[str, ...]
    foreign: tuple[str, ...]

    @property
    def is_country(self) -> bool:
        """Tell a country from a state."""
        return not self.name.endswith(_OF_STATES)

    @property
    def known_as(self) -> frozenset[str]:
        """All its names and codes, as they are compared."""
        return frozenset(map(_key, (self.name, *self.others, *self.foreign)))


class Gazetteer:
    """Towns, the largest first, and regions.

    Args:
        lines: of `places.tsv.gz`.
        regions: lines of `regions.tsv.gz`.
    """

    def __init__(self, lines: Sequence[str], regions: Sequence[str] = ()) -> None:
        self._lines = lines
        self._region_lines = regions
        self._named: dict[str, frozenset[str]] = {}
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

    def find(self, name: str, within: Sequence[str] = ()) -> Town | None:
        """Return the town that a person means by a name, however its letters are written.

        Its own name goes before a name that another town has beside its own, and the larger town
        before the smaller.

        Args:
            name: in any language that the file knows.
            within: the state or country, where several towns bear the name.
        """
        row = self._row_of(name, within)
        return None if row is None else self._place(row)

    def region(self, name: str, within: Sequence[str] = ()) -> Region | None:
        """Return the country or state that a person means by a name; None where a town is meant.

        The name of a country means the country. That of a state, or the name of a country in
        another language, means it unless a large city bears it.

        Args:
            name: "Italy", "Holland", "Italia", "Texas".
            within: the country of a state.
        """
        wanted = _key(name)
        bearing = [each for each in self._regions_with(name) if wanted in each.known_as]
        if within:
            bearing = [each for each in bearing if not each.is_country and self._lies(each, within)]
        called = {each: map(_key, (each.name, *each.others)) for each in bearing}
        english = [each for each, names in called.items() if wanted in names]
        countries = [each for each in english if each.is_country]
        if countries:
            return countries[0]
        is_code = wanted.isascii() and len(wanted) <= _CODE
        found = [*english, *(bearing if not is_code else ())]
        largest = _METROPOLISES if english else _CITIES
        row = self._row_of(name, within) if found else None
        is_city = row is not None and row < largest and self._calls_itself(row, name)
        return None if is_city else next(iter(found), None)

    def labels_beginning(self, letters: str, limit: int) -> list[str]:
        """Return the labels of the largest towns whose names begin so, as `plain` writes them."""
        rows = (row for row, name in enumerate(self._plain_names) if name.startswith(letters))
        return [self._place(row).label for row in islice(rows, limit)]

    @cached_property
    def _plain_names(self) -> list[str]:
        """The names of all towns in small letters without accents."""
        return [plain(line.partition("\t")[0]) for line in self._lines]

    def _row_of(self, name: str, within: Sequence[str]) -> int | None:
        """Return the row of the town that is meant by a name."""
        best_known = "" if within else _BEST_KNOWN.get(_key(name), "")
        wanted = same(best_known or name)
        own = _key(wanted)
        other = None
        for row in self._rows_with({wanted, own}):
            place = self._place(row)
            if within and not self._lies(place, within):
                continue
            if _key(place.name) == own and (row < _CITIES or same(place.name) == wanted):
                return row
            if other is None and wanted in map(same, place.others):
                other = row
        return other if other is not None else self._row_called(own, within)

    def _row_called(self, own: str, within: Sequence[str]) -> int | None:
        """Return the row of a town by its own name, however that is written."""
        bearing = (
            row
            for row, line in enumerate(self._lines)
            if _key(line.partition("\t")[0]) == own
            and (not within or self._lies(self._place(row), within))
        )
        return next(bearing, None)

    def _rows_with(self, writings: Collection[str]) -> Iterator[int]:
        """Yield the rows that hold one of these writings."""
        for row, line in enumerate(self._lines):
            folded = line.casefold()
            if any(each in folded for each in writings):
                yield row

    def _calls_itself(self, row: int, name: str) -> bool:
        """Return whether a name is a town's own, or the one by which the world knows it."""
        return _key(self._place(row).name) in (_key(name), _key(_BEST_KNOWN.get(_key(name), "")))

    def outer_names(self, town: Town) -> Iterator[str]:
        """Yield all names and codes of the state and the country in which a town lies."""
        for label in town.outer:
            for each in self._regions_with(label):
                if each.name == label:
                    yield from (label, *each.others, *each.foreign)

    def _lies(self, place: Town | Region, within: Sequence[str]) -> bool:
        """Return whether a town or state lies in all of these: states or countries."""
        outer = place.outer if isinstance(place, Town) else place.name.rsplit(", ", 1)[1:]
        known = frozenset().union(*(self._known_as(label) for label in outer))
        return known.issuperset(map(_key, within))

    def _known_as(self, label: str) -> frozenset[str]:
        """Return the names of the region that the file calls so."""
        if label not in self._named:
            found = (each for each in self._regions_with(label) if each.name == label)
            names = next((each.known_as for each in found), frozenset())
            self._named[label] = names | {_key(label)}
        return self._named[label]

    def _regions_with(self, name: str) -> Iterator[Region]:
        """Yield the regions that have a name in their line, whole or as a part."""
        writings = {same(name), _key(name)}
        for line in self._region_lines:
            folded = line.casefold()
            if any(each in folded for each in writings):
                label, others, foreign = line.split("\t")
                yield Region(name=label, others=_listed(others), foreign=_listed(foreign))

    def _place(self, row: int) -> Town:
        """Read one line of the file."""
        name, state, country, latitude, longitude, others = self._lines[row].split("\t")
        return Town(
            name=name,
            state=state,
            country=country,
            latitude=float(latitude),
            longitude=float(longitude),
            others=_listed(others),
        )


@cache
def gazetteer() -> Gazetteer:
    """Return the towns that ship with the package; read once a process, in 0.2 s."""
    towns, regions = (
        gzip.decompress(file.read_bytes()).decode().splitlines() for file in (_TOWNS, _REGIONS)
    )
    return Gazetteer(towns, regions)


def _listed(names: str) -> tuple[str, ...]:
    """Cut names that are parted by bars."""
    return tuple(names.split("|")) if names else ()


def _key(name: str) -> str:
    """Return what is equal for two writings of a place: "The U.S.A." and "usa"."""
    letters = re.sub(r"(?<=\w)-(?=\w)", " ", plain(name).replace("’", "'").replace(".", ""))
    return " ".join(letters.split()).removeprefix("the ")


def on_sphere(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> Points:
    """Return positions in degrees as points of the unit sphere. Shapes (n,) → (n, 3)."""
    polar, around = np.radians(latitude), np.radians(longitude)
    return np.stack(
        [np.cos(polar) * np.cos(around), np.cos(polar) * np.sin(around), np.sin(polar)], axis=1
    )


def chord(km: float) -> float:
    """Return the straight distance of two points of the unit sphere that are `km` apart."""
    return float(2.0 * np.sin(min(km / EARTH_KM, np.pi) / 2.0))

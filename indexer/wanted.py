"""Which items a search may answer, as plain values; `indexer.filters` makes SQL of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from indexer.errors import UsageError
from indexer.types import Orientation


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Photos taken from `since` on and before `until`, in local time; None is open."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Near:
    """Photos taken at most `km` from a position in degrees, along the ground.

    Attributes:
        latitude: of the position.
        longitude: of the position.
        km: the distance.
        names: of the town there. A photo without a position matches if its written place holds
            one of these and ends with one of `ends`.
        ends: the same names, and those of the regions in which the town lies.
    """

    latitude: float
    longitude: float
    km: float
    names: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (abs(self.latitude) <= 90 and abs(self.longitude) <= 180 and self.km > 0):
            raise UsageError(
                f"no circle of {self.km:g} km around {self.latitude:g}, {self.longitude:g} on earth"
            )


@dataclass(frozen=True, kw_only=True)
class Place:
    """Photos taken in a country or state: its name ends the name of their place.

    Attributes:
        name: "Italy", or "Texas, United States"; case makes no difference.
        others: other names that what photos say may have for it.
    """

    name: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Photos whose camera's name holds each of these words, or parts of words."""

    name: str


@dataclass(frozen=True, kw_only=True)
class In:
    """Items in a folder: below a path, or in any folder whose name holds these words."""

    folder: Path | str


@dataclass(frozen=True, kw_only=True)
class Tag:
    """Photos with a keyword; case, width and composition of its letters make no difference."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Type:
    """Files with one of these suffixes, such as ".jpg"."""

    suffixes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Held:
    """Photos of an orientation."""

    orientation: Orientation


@dataclass(frozen=True, kw_only=True)
class Rated:
    """Photos of so many stars or more."""

    at_least: int


@dataclass(frozen=True, kw_only=True)
class AllOf:
    """What matches each of these filters; everything, if there is none."""

    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AnyOf:
    """What matches one of these filters."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, kw_only=True)
class Not:
    """What does not match a filter."""

    filter: Filter


Told: TypeAlias = Taken | Near | Place | Camera | Held | Rated
"""Filters of what the row of a photo says."""

Filter: TypeAlias = Told | In | Tag | Type | AllOf | AnyOf | Not

"""Filter expressions as plain values: they say which items a search may return."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from indexer.core.errors import UsageError
from indexer.core.types import Orientation


@dataclass(frozen=True, kw_only=True)
class DateRange:
    """Photos taken from `since` on and before `until`, in local time; None is open."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class NearPosition:
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
class PlaceName:
    """Photos taken in a country, state or town: its name is that of their place, or ends it.

    Attributes:
        name: "Italy", "Texas, United States", "Rome, Italy"; case makes no difference.
        others: other names that what photos say may have for it.
    """

    name: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CameraName:
    """Photos whose camera's name holds each of these words, or parts of words.

    With `whole`, photos of the camera of just this name: an iPhone 12, and no iPhone 12 Pro.
    """

    name: str
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class InFolder:
    """Items in a folder: below a path, or in any folder whose name holds these words."""

    folder: Path | str


@dataclass(frozen=True, kw_only=True)
class HasTag:
    """Photos with a keyword; case, letter width and Unicode composition make no difference."""

    name: str


@dataclass(frozen=True, kw_only=True)
class ShowsText:
    """Photos that show these words side by side; case, accents and misread letters aside."""

    text: str


@dataclass(frozen=True, kw_only=True)
class FileType:
    """Files with one of these suffixes, such as ".jpg"."""

    suffixes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class HasOrientation:
    """Photos of an orientation."""

    orientation: Orientation


@dataclass(frozen=True, kw_only=True)
class MinRating:
    """Photos with so many stars or more."""

    at_least: int


@dataclass(frozen=True, kw_only=True)
class AllOf:
    """Items that pass all of these filters; every item, if there is none."""

    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AnyOf:
    """Items that pass one of these filters."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, kw_only=True)
class Not:
    """Items that do not pass a filter."""

    filter: Filter


Told: TypeAlias = DateRange | NearPosition | PlaceName | CameraName | HasOrientation | MinRating
"""Filters of what the row of a photo says."""

Filter: TypeAlias = Told | InFolder | HasTag | ShowsText | FileType | AllOf | AnyOf | Not

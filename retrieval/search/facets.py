"""The values that photos have, as filters to choose from, each with the number of photos it leaves.

A value's count is what a search finds with its filter beside the filters of all other groups. So
choosing a camera narrows the places and dates, and leaves the other cameras to choose from. Photos
have several keywords, and each that is chosen must match: those that are chosen narrow the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from indexer.catalog.facets import MOST_STARS, FacetGroup
from indexer.core.file_types import SUFFIXES
from indexer.core.filters import AllOf, Filter
from indexer.core.text_normalization import same
from indexer.core.types import Kind, printable, readable
from indexer.library.facet_counts import FacetCount
from indexer.library.library import Library
from retrieval.search.filter_syntax import (
    AS_WRITTEN,
    LONGEST_VALUE,
    TYPES,
    parse_filters,
    written_filters,
)

MOST_VALUES = 50
"""Values of a group, or below one value, unless more are asked for."""

Pairs: TypeAlias = Sequence[tuple[str, str]]
"""Names and values of filters, as `retrieval.search.filter_syntax` parts them."""

_GROUP_OF = {
    "after": FacetGroup.DATES,
    "before": FacetGroup.DATES,
    "near": FacetGroup.PLACES,
    "camera": FacetGroup.CAMERAS,
    "in": FacetGroup.FOLDERS,
    "type": FacetGroup.TYPES,
    "rating": FacetGroup.RATINGS,
    "min-rating": FacetGroup.RATINGS,
    "orientation": FacetGroup.ORIENTATIONS,
}
"""Of which group a filter is. Keywords, and what is taken away, narrow their own group, too."""

_LEVELS = {FacetGroup.DATES: 2, FacetGroup.PLACES: 3, FacetGroup.FOLDERS: 2}
"""Levels that are shown of a tree; below a value that is chosen, there is one more."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_TYPE_OF = {suffix: name for name, suffixes in TYPES.items() for suffix in suffixes}
_LAST_YEAR = "9999"


@dataclass(frozen=True, kw_only=True)
class FacetValue:
    """A value that photos have.

    Attributes:
        value: what it is: "2019-07", "Rome, Italy", the path of a folder.
        label: what a person reads.
        filter: that selects it, as it is written in a query.
        count: photos that pass it and the filters of all other groups.
        selected: whether the query has that filter.
        children: the values below it: months of a year, towns of a country.
    """

    value: str
    label: str
    filter: str
    count: int
    selected: bool = False
    children: tuple[FacetValue, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Facets:
    """The values of photos by group, in the order in which they are shown.

    Attributes:
        total: how many photos pass all filters.
        groups: the values of each.
        more: how many further values each group has on its first level.
    """

    total: int
    groups: Mapping[FacetGroup, tuple[FacetValue, ...]]
    more: Mapping[FacetGroup, int]


def facets(
    library: Library,
    kind: Kind,
    pairs: Pairs,
    where: Filter | None = None,
    *,
    groups: Collection[FacetGroup] = tuple(FacetGroup),
    limit: int = MOST_VALUES,
) -> Facets:
    """Count what the photos that pass filters have.

    Args:
        library: to look in.
        kind: of what is counted.
        pairs: the filters of a query.
        where: a further filter, of no group.
        groups: to count.
        limit: the most values of a group, and below a value.

    Raises:
        QueryInvalid: a filter cannot be understood.
        UsageError: a filter, and a library of a format before filters.
    """
    always = [pair for pair in pairs if pair[0] not in _GROUP_OF]
    among = {
        group: parse_filters([pair for pair in pairs if _GROUP_OF.get(pair[0]) == group])
        for group in FacetGroup
    }
    every = tuple(each for each in (where, parse_filters(always)) if each is not None)
    counted = library.facets.count(
        kind,
        AllOf(filters=every) if every else None,
        {group: each for group, each in among.items() if each is not None},
        groups,
    )
    shown = _Shown(frozenset(map(_normal, pairs)), limit)
    found = {group: shown.values(group, count) for group, count in counted.groups.items()}
    return Facets(
        total=counted.total,
        groups={group: values[:limit] for group, values in found.items()},
        more={group: len(each) - limit for group, each in found.items() if len(each) > limit},
    )


def selectable(group: FacetGroup, keys: Sequence[str]) -> Iterator[tuple[int, str, Pairs]]:
    """Yield the rows of values that a filter can select, their labels, and these filters."""
    label_of, pairs_of = _LABELS.get(group, str), _PAIRS[group]
    for row, key in enumerate(keys):
        pairs = pairs_of(key)
        if pairs and all(_can_be_written(value) for _, value in pairs):
            yield row, printable(readable(label_of(key))), pairs


def _can_be_written(value: str) -> bool:
    """Return whether a value can stand in a query; the name of a folder may be no Unicode."""
    return len(value) <= LONGEST_VALUE and readable(value) == value == value.strip()


def _normal(pair: tuple[str, str]) -> tuple[str, str]:
    """Return what is equal for two writings of one filter."""
    name, value = pair
    return name, str(Path(value)) if name == "in" else same(value.strip())


@dataclass(kw_only=True)
class _Node:
    """A value, with those below it."""

    key: str
    label: str
    pairs: Pairs
    count: int
    selected: bool
    below: list[_Node] = field(default_factory=list)

    @property
    def is_shown(self) -> bool:
        """Tell whether any photo has it, or the query names it or one below it."""
        return self.count > 0 or self.is_open

    @property
    def is_open(self) -> bool:
        """Tell whether the query names it or one below it."""
        return self.selected or any(each.is_open for each in self.below)


class _Shown:
    """Lays out the values of groups as they are shown.

    Args:
        chosen: the filters of the query.
        limit: the most values below one value.
    """

    def __init__(self, chosen: Collection[tuple[str, str]], limit: int) -> None:
        self._chosen, self._limit = chosen, limit

    def values(self, group: FacetGroup, counted: FacetCount) -> tuple[FacetValue, ...]:
        """Return the values of a group, all of its first level."""
        top = self._tree(group, counted)
        while group == FacetGroup.FOLDERS and len(top) == 1 and top[0].below:
            top = top[0].below  # a folder that holds all that there is tells nothing apart
        return self._level(group, top, _LEVELS.get(group, 1))

    def _tree(self, group: FacetGroup, counted: FacetCount) -> list[_Node]:
        """Make nodes of the values; those of one filter, such as two suffixes, are one."""
        top: list[_Node] = []
        nodes: dict[int, _Node] = {}
        known: dict[tuple[tuple[str, str], ...], _Node] = {}
        tree, counts = counted.tree, counted.counts.tolist()
        for row, label, pairs in selectable(group, tree.keys):
            if tuple(pairs) in known:
                known[tuple(pairs)].count += counts[row]
                continue
            selected = all(_normal(pair) in self._chosen for pair in pairs)
            node = _Node(
                key=tree.keys[row], label=label, pairs=pairs, count=counts[row], selected=selected
            )
            nodes[row] = known[tuple(pairs)] = node
            flat = group == FacetGroup.RATINGS  # four stars are among "three or more"
            above = None if flat else nodes.get(int(tree.parents[row]))
            (above.below if above else top).append(node)
        return top

    def _level(
        self, group: FacetGroup, nodes: Sequence[_Node], levels: int
    ) -> tuple[FacetValue, ...]:
        """Return the values of one level in order, those that are chosen among the first."""
        ordered = sorted((node for node in nodes if node.is_shown), key=_ORDERS[group])
        kept = [node for node in ordered[self._limit :] if node.is_open]
        first = [*ordered[: max(0, self._limit - len(kept))], *kept]
        rest = [node for node in ordered if all(node is not each for each in first)]
        return tuple(self._value(group, node, levels) for node in (*first, *rest))

    def _value(self, group: FacetGroup, node: _Node, levels: int) -> FacetValue:
        """Return a value with what is shown below it."""
        deeper = levels > 1 or node.is_open
        below = self._level(group, node.below, levels - 1)[: self._limit] if deeper else ()
        return FacetValue(
            value=node.label if group == FacetGroup.TYPES else printable(node.key),
            label=node.label,
            filter=written_filters(node.pairs),
            count=node.count,
            selected=node.selected,
            children=below,
        )


def _most_used(node: _Node) -> tuple[object, ...]:
    """Put what most photos have first."""
    return -node.count, same(node.label)


_ORDERS: Mapping[FacetGroup, Callable[[_Node], Any]] = {
    **dict.fromkeys(FacetGroup, _most_used),
    FacetGroup.DATES: lambda node: -int(node.key.replace("-", "")),
    FacetGroup.RATINGS: lambda node: -int(node.key),
    FacetGroup.FOLDERS: lambda node: (same(node.label), node.key),
}


def _month_label(key: str) -> str:
    """Name a month, or a year."""
    year, _, month = key.partition("-")
    return _MONTHS[int(month) - 1] if month else year


def _stars_label(key: str) -> str:
    """Say how many stars at least."""
    stars = f"{key} star{'s' if int(key) > 1 else ''}"
    return stars if int(key) == MOST_STARS else f"{stars} or more"


def _dates(key: str) -> Pairs:
    """Return the filters of a year or month: from its first day on, and before the next one's."""
    year, _, month = key.partition("-")
    after = ("after", key)
    if month and int(month) < len(_MONTHS):
        return [after, ("before", f"{year}-{int(month) + 1:02}")]
    return [after] if year == _LAST_YEAR else [after, ("before", f"{int(year) + 1:04}")]


def _type(key: str) -> Pairs:
    """Return the filter of the type of a suffix; none for a suffix that is not known."""
    return [("type", _TYPE_OF.get(key, key.lstrip(".")))] if key in SUFFIXES else []


_LABELS: Mapping[FacetGroup, Callable[[str], str]] = {
    FacetGroup.DATES: _month_label,
    FacetGroup.PLACES: lambda key: key.partition(", ")[0],
    FacetGroup.FOLDERS: lambda key: Path(key).name or key,
    FacetGroup.TYPES: lambda key: _type(key)[0][1],
    FacetGroup.RATINGS: _stars_label,
}

_PAIRS: Mapping[FacetGroup, Callable[[str], Pairs]] = {
    FacetGroup.DATES: _dates,
    FacetGroup.PLACES: lambda key: [("near", f"{AS_WRITTEN}{key}")],
    FacetGroup.CAMERAS: lambda key: [("camera", f"{AS_WRITTEN}{key}")],
    FacetGroup.FOLDERS: lambda key: [("in", key)],
    FacetGroup.KEYWORDS: lambda key: [("tag", key)],
    FacetGroup.TYPES: _type,
    FacetGroup.RATINGS: lambda key: [("rating", key)],
    FacetGroup.ORIENTATIONS: lambda key: [("orientation", key)],
}

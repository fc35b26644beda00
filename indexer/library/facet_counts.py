"""How many photos of a library have which value, and which photos pass filters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from indexer.catalog.facets import CaptionWords, FacetColumns, FacetGroup, FacetTree, Mask
from indexer.catalog.reader import CatalogReader
from indexer.core.filters import AllOf, AnyOf, Filter, Not
from indexer.core.types import Kind

if TYPE_CHECKING:
    from indexer.catalog.writer import CatalogWriter

_TRIES = 3  # where commits come between what is read in several transactions

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class FacetCount:
    """The values of a group, and how many photos have each.

    Attributes:
        tree: the values.
        counts: of each, among those that pass the filters of the other groups. Shape (values,).
    """

    tree: FacetTree
    counts: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class FacetCounts:
    """What the photos of a library have, by group.

    Attributes:
        total: how many photos pass all filters.
        groups: by their names.
    """

    total: int
    groups: Mapping[FacetGroup, FacetCount]


class FacetCounter:
    """Counts photos by what they say, and lists those that pass filters. Any thread may ask.

    What the photos say is read once a commit, and each filter is asked for once.

    Args:
        view: the catalog, for reading; it is this object's own.
        catalog: returns the catalog that knows filters.
    """

    def __init__(self, view: CatalogReader, catalog: Callable[[], CatalogWriter]) -> None:
        self._view, self._catalog = view, catalog
        self._columns: dict[Kind, FacetColumns] = {}
        self._words: dict[Kind, CaptionWords] = {}
        self._alone = threading.RLock()

    def close(self) -> None:
        """Close the catalog that is read."""
        with self._alone:
            self._view.close()

    def count(
        self,
        kind: Kind,
        where: Filter | None,
        among: Mapping[FacetGroup, Filter],
        groups: Collection[FacetGroup] = tuple(FacetGroup),
    ) -> FacetCounts:
        """Count the items of a kind by what they say; a video counts once.

        Args:
            kind: of the items.
            where: what each item that is counted passes.
            among: further filters of some groups; the values of a group are counted among what
                passes those of the other groups.
            groups: to count.

        Raises:
            UsageError: a filter, and a library of a format before filters.
        """

        def counted(columns: FacetColumns) -> FacetCounts:
            base = self._mask(columns, kind, where)
            masks = {group: self._mask(columns, kind, each) for group, each in among.items()}
            every = _all([base, *masks.values()])
            found = {}
            for group in groups:
                others = [mask for other, mask in masks.items() if other != group]
                mask = _all([base, *others]) if group in masks else every
                tree = columns.trees[group]
                found[group] = FacetCount(tree=tree, counts=tree.counts(mask))
            return FacetCounts(total=int(every.sum()), groups=found)

        return self._at_one_commit(kind, counted)

    def words(self, kind: Kind) -> Mapping[str, int]:
        """Return how many items have each word in captions and keywords."""
        with self._alone:
            known = self._words.get(kind)
            if known is None or known.generation != self._view.facts().generation:
                known = self._words[kind] = self._view.caption_words(kind, known)
            return known.counts

    def columns(self, kind: Kind) -> FacetColumns:
        """Return what the items of a kind say as of the last commit."""
        with self._alone:
            known = self._columns.get(kind)
            if known is None or known.generation != self._view.facts().generation:
                known = self._columns[kind] = self._view.columns(kind, known)
            return known

    def _at_one_commit(self, kind: Kind, read: Callable[[FacetColumns], T]) -> T:
        """Return what is read of one commit; filters are read in transactions of their own."""
        with self._alone:
            for _ in range(_TRIES):
                columns = self.columns(kind)
                result = read(columns)
                if self._view.facts().generation == columns.generation:
                    break
            return result

    def _mask(self, columns: FacetColumns, kind: Kind, where: Filter | None) -> Mask:
        """Return which rows pass a filter; its parts are asked for apart, each once a commit."""
        match where:
            case None:
                return columns.everything
            case AllOf(filters=filters):
                parts = [self._mask(columns, kind, each) for each in filters]
                return _all([columns.everything, *parts])
            case AnyOf(filters=filters):
                return ~_all([~self._mask(columns, kind, each) for each in filters])
            case Not(filter=filter_):
                return ~self._mask(columns, kind, filter_)
            case _:
                return columns.mask(where, lambda: self._passing(columns, kind, where))

    def _passing(self, columns: FacetColumns, kind: Kind, where: Filter) -> Mask:
        """Ask the catalog which rows pass a filter."""
        return self._catalog().selected(kind, where).holds(columns.ids)


def _all(masks: list[Mask]) -> Mask:
    """Return what lies in all of some masks."""
    every: Mask = np.logical_and.reduce(masks)
    return every

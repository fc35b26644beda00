"""The score normaliser of a library: it measures items, scores and indexes with generic vectors.

The reference set gives an item its hubness. Two scales make scores comparable: what generic
queries score in this library (`indexer.calibration.score_stats`), and what one query scores on
generic items. Generic queries are also the tuning queries of an index. If a model has no reference
vectors of a kind, items of the library take their place.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.calibration.hubness import with_alpha, with_hubness
from indexer.calibration.reference_set import (
    COHORTS,
    ReferenceSet,
    read_banks,
    read_cohorts,
    write_banks,
    write_cohorts,
)
from indexer.calibration.score_stats import (
    FEWEST_ITEMS,
    FEWEST_QUERIES,
    SAMPLE,
    ScoreStats,
    cohort_of,
    measure,
)
from indexer.catalog.meta import LibraryMeta
from indexer.catalog.reader import CatalogReader, catalog_path
from indexer.catalog.snapshot import Holds
from indexer.core.encoder import Vectors
from indexer.core.errors import LibraryDamaged, mending
from indexer.core.types import Kind
from indexer.vectors.flat_index import Ids
from indexer.vectors.nprobe_tuning import TUNING_ALPHA, TuningQueries
from indexer.vectors.vector_store import VectorStore

if TYPE_CHECKING:
    from indexer.catalog.writer import CatalogWriter

_COMPARED = 256  # items whose hubness is computed again
_HUBNESS_ERROR = 0.005  # of rounding to float16, and of another runtime
FEWEST_TO_TELL = 30
"""Items of which the scores of a query tell how it sees the library."""

_QUESTIONS = 512  # of a kind, to tune an index: half of them choose, half report


class ScoreNormalizer:
    """Measures items, scores and indexes with the reference set of a library.

    Args:
        folder: of the library.
        view: of its catalog.
        vectors: of the library.
        facts: of the library, as it was opened.
    """

    def __init__(
        self, folder: Path, view: CatalogReader, vectors: VectorStore, facts: LibraryMeta
    ) -> None:
        self._folder, self._view, self._vectors = folder, view, vectors
        self._dim, self._width = facts.dim, facts.width
        self._corrects = facts.width > facts.dim
        self._cohorts: dict[Kind, NDArray[np.float16]] = {}

    @cached_property
    def banks(self) -> ReferenceSet:
        """The reference set, read when it is first needed."""
        facts = self._view.facts()
        path = self._folder / facts.banks
        return read_banks(path, photos=facts.photo_bank, texts=facts.text_bank, dim=facts.dim)

    def stored(self, vectors: Vectors, kind: Kind) -> Vectors:
        """Return vectors as the format stores them. Shape (n, dim) or (n, dim + 1)."""
        if not self._corrects:
            return vectors
        return with_hubness(vectors, self.banks.facing(kind), self._view.facts().hubness_k)

    def restore_banks(self, made: ReferenceSet) -> bool:
        """Write the reference set again if it is broken, from what their model gives.

        They are checked by the stored hubness of items: each must come out again.

        Args:
            made: the reference set of the model that the library was made for.

        Returns:
            Whether the reference set is intact now.
        """
        try:
            return not self._corrects or bool(self.banks)
        except LibraryDamaged:
            facts = self._view.facts()
        if (len(made.photos), len(made.texts)) != (facts.photo_bank, facts.text_bank):
            return False
        if not all(self._fits(made, kind) for kind in Kind):
            return False
        write_banks(self._folder / facts.banks, made)
        return True

    def _fits(self, made: ReferenceSet, kind: Kind) -> bool:
        """Return whether the hubness of stored items of a kind is that of a reference set."""
        rows = self.sample(kind, _COMPARED, seed=0)
        if not len(rows) or not len(made.facing(kind)):
            return True
        again = with_hubness(rows[:, : self._dim], made.facing(kind), self._view.facts().hubness_k)
        return bool(np.abs(again[:, self._dim] - rows[:, self._dim]).max() <= _HUBNESS_ERROR)

    def asking(self, queries: Vectors, alpha: float) -> Vectors:
        """Return queries in search form: with alpha, if hubness is stored. Shape (n, width)."""
        return with_alpha(queries, alpha) if self._corrects else queries

    def sample(self, kind: Kind, count: int, *, seed: int) -> Vectors:
        """Return rows of items at random as they are stored. Shape (n, dim) or (n, dim + 1)."""
        return self._drawn(kind, count, seed=seed)[1]

    def _drawn(self, kind: Kind, count: int, *, seed: int) -> tuple[Ids, Vectors]:
        """Return ids of items at random, and their rows. Shapes (n,) and (n, width)."""
        rows, deleted = self._vectors.rows(kind)
        ids = np.setdiff1d(rows.ids, deleted)
        drawn = np.sort(np.random.default_rng(seed).permutation(ids)[:count])
        fetched = rows.fetch(drawn)
        sound = _sound(fetched)
        return drawn[sound], fetched[sound]

    def among(self, kind: Kind, holds: Holds | None, count: int) -> tuple[Vectors, int]:
        """Return rows of some items that a filter lets through, and how many there are of these.

        Where it lets fewer than `FEWEST_TO_TELL` through, the rows are of all items of the kind.

        Args:
            kind: of the items.
            holds: tells which of some ids are let through; None for all.
            count: how many rows, at most. Shape (at most count, dim) or (at most count, dim + 1).
        """
        rows, deleted = self._vectors.rows(kind)
        ids = rows.ids[~np.isin(rows.ids, deleted)] if len(deleted) else rows.ids
        held = ids if holds is None else ids[holds(ids)]
        telling = held if len(held) >= FEWEST_TO_TELL else ids
        places = np.arange(len(telling))
        if len(telling) > count:
            places = np.unique(np.random.default_rng(0).integers(len(telling), size=count))
        fetched = rows.fetch(telling[places])
        return fetched[_sound(fetched)], len(held)

    def moments(self, query: Kind, item: Kind) -> ScoreStats | None:
        """Return the score statistics of generic queries on the items of a kind in this library.

        As measured at the end of the last index run, or now if that never was. None where the
        library has no such generic queries, or too few items to tell.
        """
        return self._noted_moments(query, item) or self._measure(query, item)

    def _noted_moments(self, query: Kind, item: Kind) -> ScoreStats | None:
        """Return the score statistics of a direction as they were last measured; None if never.

        Raises:
            LibraryDamaged: what was noted cannot be read.
        """
        noted = self._view.noted(_moments_key(query, item))
        try:
            return ScoreStats.loads(noted) if noted else None
        except (ValueError, TypeError) as error:
            fault = f"is broken (its score statistics cannot be read: {error})"
            raise LibraryDamaged(
                catalog_path(self._folder), fault, mending(self._folder)
            ) from error

    def cohort(self, kind: Kind) -> Vectors:
        """Return some generic items of a kind, as they would be stored here. Shape (n, width)."""
        if kind not in self._cohorts:
            try:
                self._cohorts.update(self._kept_cohorts() or {kind: self._made_cohort(kind)})
            except LibraryDamaged:  # what is indexed can be searched all the same
                return np.empty((0, self._width), dtype=np.float32)
        return self._cohorts[kind].astype(np.float32)

    def _made_cohort(self, kind: Kind) -> NDArray[np.float16]:
        """Compute the cohort of a kind. Shape (n, width)."""
        return self.stored(cohort_of(self.banks.of(kind)), kind).astype(np.float16)

    def _kept_cohorts(self) -> dict[Kind, NDArray[np.float16]]:
        """Read the cohorts that a writer kept."""
        facts = self._view.facts()
        return read_cohorts(self._folder / COHORTS, banks=facts.banks, width=self._width)

    def cohort_fault(self) -> str:
        """Say why the kept cohorts cannot be used, "" where they can, or none are kept."""
        if not self._corrects or not (self._folder / COHORTS).exists() or self._kept_cohorts():
            return ""
        return "is broken, or was made from another reference set"

    def mend(self) -> None:
        """Write the cohorts again, if the stored ones are not those of the reference set."""
        if self.cohort_fault():
            (self._folder / COHORTS).unlink(missing_ok=True)
            self._keep_cohorts()

    def questions(self, item: Kind) -> dict[Kind, TuningQueries]:
        """Return the tuning queries for the items of a kind, by the kind of the query.

        Generic ones of the other kind, as in the reference set; of the same kind, items that are
        asked for what is near them.
        """
        other = Kind.TEXT if item == Kind.PHOTO else Kind.PHOTO
        generic = np.random.default_rng(0).permutation(self._generic(other))[:_QUESTIONS]
        nobody = np.full(len(generic), -1, dtype=np.int64)
        own, items = self._drawn(item, _QUESTIONS, seed=1)
        return {
            other: TuningQueries(vectors=self.asking(generic, TUNING_ALPHA), own=nobody),
            item: TuningQueries(vectors=self.asking(items[:, : self._dim], 0.0), own=own),
        }

    def refresh(self, catalog: CatalogWriter) -> None:
        """Measure again what has changed much, and store it for later searches."""
        self._note_moments(catalog)
        self._keep_cohorts()

    def _note_moments(self, catalog: CatalogWriter) -> None:
        """Measure the score statistics again where the library has changed much since."""
        for query, item in product(Kind, Kind):
            noted = self._noted_moments(query, item)
            if noted and noted.fits(self._view.count(item)):
                continue
            measured = self._measure(query, item)
            if measured is not None:
                catalog.note(_moments_key(query, item), measured.dumps())

    def _measure(self, query: Kind, item: Kind) -> ScoreStats | None:
        """Measure score statistics, if the generic queries and the items are enough for it."""
        items = self._view.count(item)
        if items < FEWEST_ITEMS:
            return None
        generic = self._generic(query)
        if len(generic) < FEWEST_QUERIES:
            return None
        return measure(generic, self.sample(item, SAMPLE, seed=0), items=items)

    def _keep_cohorts(self) -> None:
        """Keep the cohorts for later searches, unless they are there."""
        if self._corrects and not self._kept_cohorts():
            with suppress(LibraryDamaged):  # no banks, nothing to keep
                cohorts = {kind: self._made_cohort(kind) for kind in Kind}
                banks = self._view.facts().banks
                write_cohorts(self._folder / COHORTS, cohorts, banks=banks)

    def _generic(self, kind: Kind) -> Vectors:
        """Return the reference vectors of a kind, or items of the library if there are none."""
        try:
            bank = self.banks.of(kind)
        except LibraryDamaged:  # what is indexed can be searched all the same
            return np.empty((0, self._dim), dtype=np.float32)
        return bank if len(bank) else self.sample(kind, SAMPLE, seed=0)[:, : self._dim]


def _sound(rows: Vectors) -> NDArray[np.bool_]:
    """Tell which rows are finite: one whose bits flipped says nothing of the others. Shape (n,)."""
    return np.asarray(np.isfinite(rows).all(axis=1))


def _moments_key(query: Kind, item: Kind) -> str:
    """Name the fact that holds the score statistics of a direction."""
    return f"moments_{query}_{item}"

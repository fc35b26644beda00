"""What is read of a library: photos and texts that were embedded, found again by vector."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from functools import cached_property, wraps
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from indexer.calibration.score_normalizer import ScoreNormalizer
from indexer.catalog.reader import CatalogReader, catalog_path
from indexer.core.encoder import Encoder, Vectors
from indexer.core.errors import (
    LibraryDamaged,
    LibraryMissing,
    ModelMismatch,
    mending,
    way_out,
)
from indexer.core.filters import Filter
from indexer.core.types import Candidate, Kind, LibraryInfo, Record
from indexer.library.facet_counts import FacetCounter
from indexer.vectors.flat_index import Ids
from indexer.vectors.patch_tokens import PatchTokenCache
from indexer.vectors.vector_store import VectorStore

if TYPE_CHECKING:
    from indexer.catalog.filter_ids import IdSet
    from indexer.catalog.writer import CatalogWriter

SEEN = 512
"""Items of a search that are scored to learn how a query sees the library."""

P = ParamSpec("P")
T = TypeVar("T")


def _at_one_commit(
    read: Callable[Concatenate[LibraryReader, P], T],
) -> Callable[Concatenate[LibraryReader, P], T]:
    """Make a method read one commit of the catalog, and have the indexes for itself meanwhile."""

    @wraps(read)
    def wrapped(library: LibraryReader, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return library.view.at_one_commit(lambda: read(library, *args, **kwargs))

    return wrapped


class LibraryReader:
    """An open library, to search in. Any number may read one folder, and any thread may ask.

    Close it, or use it as a context manager. Every search answers from the last commit, whoever
    made it; several reads inside `view.at_one_commit` answer from the same one.

    Attributes:
        view: the catalog, for reading.
        vectors: what is stored of the items.
        normalizer: what scores mean in this library.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.view = CatalogReader(catalog_path(folder))
        facts = self.view.facts()
        self.model, self.fingerprint, self.dim = facts.model, facts.fingerprint, facts.dim
        self.vectors = VectorStore(folder, self.view, lambda: self.catalog, facts)
        self.normalizer = ScoreNormalizer(folder, self.view, self.vectors, facts)
        self._selection: tuple[tuple[int, Kind, Filter], IdSet] | None = None
        self._listing: tuple[object, Ids] | None = None

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a library that exists.

        Raises:
            LibraryMissing: there is none.
            LibraryDamaged: its catalog is broken, or newer than this version.
        """
        folder = Path(folder)
        path = catalog_path(folder)
        if path.is_file():
            return cls(folder)
        if (folder / "vectors").is_dir():
            raise LibraryDamaged(path, "is missing", way_out(folder))
        raise LibraryMissing(
            f"no library at '{folder}'; build one with: twinlens index FOLDER --library {folder}"
        )

    def close(self) -> None:
        """Close the files."""
        self.view.close()
        if "facets" in vars(self):
            self.facets.close()
        if "catalog" in vars(self):
            self.catalog.close()

    @cached_property
    def catalog(self) -> CatalogWriter:
        """The catalog for writing. A search reads through `view` alone."""
        return _catalog()(catalog_path(self.folder))

    @cached_property
    def facets(self) -> FacetCounter:
        """Counts what the library holds by what it says about itself."""
        own = CatalogReader(catalog_path(self.folder))  # searches need not wait for it
        return FacetCounter(own, lambda: self.catalog)

    @cached_property
    def patch_tokens(self) -> PatchTokenCache:
        """What rerankers read of the photos, where it was kept."""
        return PatchTokenCache(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def check_model(self, encoder: Encoder) -> None:
        """Refuse an encoder whose vectors are not comparable with those of the library.

        Raises:
            ModelMismatch: names both models, and what to do.
        """
        if encoder.fingerprint != self.fingerprint:
            raise ModelMismatch(
                self.folder,
                f"was built with the model {self.model!r} ({self.fingerprint[:12]}), "
                f"not {encoder.name!r} ({encoder.fingerprint[:12]})",
                "name that model with --model, another folder with --library, or change the "
                "library's model with: twinlens reindex --model",
            )

    @_at_one_commit
    def search(
        self,
        queries: Vectors,
        kind: Kind,
        k: int,
        *,
        excluded: Ids | None = None,
        alpha: float = 0.0,
        where: Filter | None = None,
    ) -> list[list[Candidate]]:
        """Return the `k` best items of a kind for each query, or all items if there are fewer.

        Best first; of equal scores, the lower id first. A score is the cosine, less `alpha` times
        the hubness of the item. A library that format 1 began stores no hubness, so its scores are
        plain cosines. Filters are applied first: `k` items come back whenever `k` pass.

        Args:
            queries: unit vectors of the library's model. Shape (queries, dim).
            kind: what to find.
            k: number of candidates for each query.
            excluded: ids that are never returned. Shape (n,).
            alpha: share of an item's hubness that is subtracted from its score; 0 for the plain
                cosine.
            where: which items may be returned.

        Raises:
            LibraryDamaged: a segment is missing or broken.
            UsageError: a filter, and a library of a format before filters.
        """
        selection = None if where is None else self._selected(kind, where)
        only = None
        if selection is not None and selection.all_but:
            others = [] if excluded is None else [excluded]
            excluded = np.concatenate([selection.ids, *others])
        elif selection is not None:
            only = selection.ids
        loaded = self.vectors.load(kind)
        asked = self.normalizer.asking(queries, alpha)
        return loaded.search(asked, k, excluded=excluded, only=only)

    def _selected(self, kind: Kind, where: Filter) -> IdSet:
        """Return what a filter lets through; the last one is remembered for as long as it holds."""
        asked, last = (self.view.facts().generation, kind, where), self._selection
        if last is None or last[0] != asked:
            last = self._selection = (asked, self.catalog.selected(kind, where))
        return last[1]

    @_at_one_commit
    def listed(
        self, kind: Kind, where: Filter, *, oldest: bool = False, frames: bool = False
    ) -> Ids:
        """Return the ids of all items that a filter lets through, by date. Shape (n,).

        The last list is remembered for as long as it holds, so that paging through it is fast.
        See `indexer.catalog.writer.CatalogWriter.newest`.
        """
        asked, last = (self.view.facts().generation, kind, where, oldest, frames), self._listing
        if last is None or last[0] != asked:
            ids = self.catalog.newest(kind, where, oldest=oldest, frames=frames)
            last = self._listing = (asked, np.array(ids, dtype=np.int64))
        return last[1]

    @_at_one_commit
    def score(
        self, query: Vectors, kind: Kind, ids: Sequence[int], *, alpha: float = 0.0
    ) -> NDArray[np.float32]:
        """Return the scores of some items for one query, as `search` has them. Shape (ids,).

        Raises:
            KeyError: the library has no such item of that kind.
        """
        asked = self.normalizer.asking(query, alpha)  # (1, width)
        scores: NDArray[np.float32] = self._fetched(ids, kind) @ asked[0]
        return scores

    @_at_one_commit
    def fetch(self, ids: Sequence[int], kind: Kind) -> Vectors:
        """Return the vectors of items, as they were stored. Shape (ids, dim).

        Raises:
            KeyError: the library has no such item of that kind.
        """
        return self._fetched(ids, kind)[:, : self.dim]

    def _fetched(self, ids: Sequence[int], kind: Kind) -> Vectors:
        """Return the rows of items as they are stored. Shape (ids, width)."""
        wanted = np.array(ids, dtype=np.int64)
        try:
            return self.vectors.load(kind).fetch(wanted)
        except KeyError as error:
            if not np.isin(wanted, self.catalog.item_ids(kind)).all():
                raise
            fault = f"do not hold the vectors of all {kind}s"
            raise LibraryDamaged(self.folder / "vectors", fault, mending(self.folder)) from error

    @_at_one_commit
    def sample(self, kind: Kind, count: int, *, seed: int) -> Vectors:
        """Return the vectors of `count` items at random, of all if fewer. Shape (n, dim)."""
        return self.normalizer.sample(kind, count, seed=seed)[:, : self.dim]

    @_at_one_commit
    def score_cohort(self, query: Vectors, kind: Kind, *, alpha: float) -> NDArray[np.float32]:
        """Score reference items of a kind as if they were in this library, for one query.

        Args:
            query: one unit vector. Shape (1, dim).
            kind: of the items.
            alpha: share of the hubness that is subtracted from each score.

        Returns:
            Shape (n,); n is 0 if the library has no readable reference vectors of that kind.
        """
        asked = self.normalizer.asking(query, alpha)  # (1, width)
        scores: NDArray[np.float32] = self.normalizer.cohort(kind) @ asked[0]
        return scores

    @_at_one_commit
    def score_sample(
        self, query: Vectors, kind: Kind, *, alpha: float, where: Filter | None = None
    ) -> tuple[NDArray[np.float32], int]:
        """Score a sample of the items that a search covers, and count all of them.

        Args:
            query: one unit vector. Shape (1, dim).
            kind: of the items.
            alpha: share of the hubness that is subtracted from each score.
            where: which items may be returned. If they are too few for an estimate, items of the
                whole library are scored.

        Returns:
            The scores, shape (n,), n at most `SEEN`; and how many items pass the filter.
        """
        holds = None if where is None else self._selected(kind, where).holds
        rows, count = self.normalizer.among(kind, holds, SEEN)
        scores: NDArray[np.float32] = rows @ self.normalizer.asking(query, alpha)[0]
        return scores, count

    def records(self, ids: Sequence[int]) -> list[Record]:
        """Return the items of these ids in their order; an id that no longer exists gives none."""
        return self.view.records(ids)

    @_at_one_commit
    def word_matches(
        self,
        text: str,
        kind: Kind,
        limit: int,
        *,
        where: Filter | None = None,
        every: bool = False,
    ) -> list[tuple[int, float]]:
        """Return ids and BM25 scores of the items of a kind that share words, best first.

        With `every`, only items that have all the words.

        Raises:
            UsageError: a filter, and a library of a format before filters.
        """
        among = None if where is None else self._selected(kind, where).holds
        return self.view.word_matches(text, kind, limit, among=among, every=every)

    @_at_one_commit
    def counts(self) -> dict[Kind, int]:
        """Count the items of each kind."""
        return {kind: self.view.count(kind) for kind in Kind}

    @_at_one_commit
    def info(self) -> LibraryInfo:
        """Summarise what the library contains."""
        counts, facts = self.counts(), self.view.facts()
        banks = {Kind.PHOTO: facts.text_bank, Kind.TEXT: facts.photo_bank}
        frames, videos = self.catalog.count_frames()
        return LibraryInfo(
            photos=counts[Kind.PHOTO] - frames,
            videos=videos,
            frames=frames,
            texts=counts[Kind.TEXT],
            skipped=self.catalog.count_skipped(),
            folders=tuple(self.catalog.roots()),
            model=self.model,
            fingerprint=self.fingerprint,
            dim=self.dim,
            hubness=tuple(kind for kind, bank in banks.items() if bank),
            described=self.catalog.described(),
            format=facts.format,
            bytes=sum(map(_bytes, self.folder.rglob("*"))),
        )


def _bytes(path: Path) -> int:
    """Return the size of a file; 0 for a folder, and for what another process has just deleted."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _catalog() -> type[CatalogWriter]:
    """Import the whole catalog, and SQLAlchemy with it, only where it is needed."""
    from indexer.catalog.writer import CatalogWriter

    return CatalogWriter

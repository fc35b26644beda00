"""Choose nprobe: how many clusters a search needs for the recall target.

Text vectors lie in another region than photo vectors, and their nearest photos are in other
clusters. So nprobe is measured separately for queries by words and by photo, against exact results.
A true neighbour is found once its cluster is searched. The rank of that cluster, over many queries
and their true neighbours, gives the recall for every nprobe.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.core.encoder import Vectors
from indexer.core.errors import UsageError
from indexer.core.types import Kind
from indexer.vectors.flat_index import Ids, VectorBlock
from indexer.vectors.ivf_index import EXACT_ROWS, IvfIndex

DEPTHS = (10, 100, 1000)
"""Numbers of candidates for which nprobe is measured. A search for more looks at everything."""

RECALL = 0.98
"""Of generic captions. Words for what the library holds none or one of need up to twice the lists,
and shall find 0.95, too; `benchmarks/recall.py` measures them."""

TUNING_ALPHA = 0.5
"""What generic queries ask with: the largest alpha of a model that ships. The larger it is, the
more lists are needed: the built-in model would find 93 instead of 95 % if tuned at 0.25."""

Ranks: TypeAlias = NDArray[np.int64]
"""How many lists a search looks through before those of the true neighbours, best neighbour first.
Shape (queries, depth)."""


@dataclass(frozen=True, kw_only=True)
class RecallTarget:
    """The recall that an index has to reach.

    Attributes:
        recall: mean share of the true nearest that a search finds; 1 for an exact index.
        exact_rows: up to so many vectors are always searched exactly.
    """

    recall: float = RECALL
    exact_rows: int = EXACT_ROWS

    def __post_init__(self) -> None:
        if not 0 < self.recall <= 1:
            raise UsageError(f"recall must be above 0 and at most 1, not {self.recall}")
        if self.exact_rows < 0:
            raise UsageError(f"exact search needs 0 vectors or more, not {self.exact_rows}")

    def is_exact(self, size: int) -> bool:
        """Return whether a library with so many vectors gets an exact index."""
        return self.recall == 1 or size <= self.exact_rows

    def dumps(self) -> str:
        """Return the recall target as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, noted: str) -> RecallTarget:
        """Read what `dumps` wrote; the default where nothing was."""
        return cls(**json.loads(noted)) if noted else cls()


@dataclass(frozen=True, kw_only=True)
class SearchParams:
    """The search parameters of a saved IVF index, with the size and checksum of its file.

    Attributes:
        probes: nprobe, the lists to search, by how many candidates are wanted at most.
        bytes: of the file. FAISS does not notice the lack of the last ones.
        checksum: of the file.
    """

    probes: Mapping[int, int]
    bytes: int
    checksum: str

    def dumps(self) -> str:
        """Return the search parameters as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, noted: str) -> SearchParams:
        """Read what `dumps` wrote."""
        values = json.loads(noted)
        probes = {int(depth): int(probes) for depth, probes in values["probes"].items()}
        return cls(probes=probes, bytes=values["bytes"], checksum=values["checksum"])


@dataclass(frozen=True, kw_only=True)
class TuningQueries:
    """Tuning queries of one kind, in the form of search queries.

    Attributes:
        vectors: shape (queries, width).
        own: the id of each query that is an item itself, else -1. Shape (queries,).
    """

    vectors: Vectors
    own: Ids

    def __len__(self) -> int:
        return len(self.own)


def halved(asking: Mapping[Kind, TuningQueries], half: int) -> dict[Kind, TuningQueries]:
    """Return every second query: half 0 chooses nprobe, half 1 measures it."""
    return {
        kind: TuningQueries(vectors=each.vectors[half::2], own=each.own[half::2])
        for kind, each in asking.items()
    }


def choose_nprobe(ranks: Mapping[Kind, Ranks], recall: float) -> dict[int, int]:
    """Return, for each depth, the smallest nprobe that reaches the recall with each kind of query.

    The recall of other queries differs by chance, so two standard errors are added.

    Args:
        ranks: by the kind of the queries.
        recall: to be reached in the mean over queries.
    """
    return {
        depth: max((_enough(rows[:, :depth], recall) for rows in ranks.values()), default=1)
        for depth in DEPTHS
    }


def recall_at(ranks: Ranks, probes: int) -> float:
    """Return the share of true neighbours that this nprobe finds."""
    return float((ranks < probes).mean())


def neighbour_ranks(
    index: IvfIndex, parts: Iterable[VectorBlock], asking: Mapping[Kind, TuningQueries]
) -> dict[Kind, Ranks]:
    """Return the ranks of the lists that hold the true neighbours of queries, by their kind.

    Args:
        index: made of the parts.
        parts: all vectors; read once.
        asking: queries by kind; a kind without queries gives nothing.

    Returns:
        Shape (queries, depth) each, best neighbour first, depth up to 1,000.
    """
    asked = {kind: each for kind, each in asking.items() if len(each)}
    if not asked:
        return {}
    everything = TuningQueries(
        vectors=np.concatenate([each.vectors for each in asked.values()]),
        own=np.concatenate([each.own for each in asked.values()]),
    )
    ranks = index.ranks(everything.vectors, nearest(parts, everything, max(DEPTHS)))
    edges = np.cumsum([len(each) for each in asked.values()])[:-1]
    return dict(zip(asked, np.split(ranks, edges), strict=True))


def nearest(parts: Iterable[VectorBlock], asking: TuningQueries, depth: int) -> Ids:
    """Return the ids of the nearest vectors of each query but itself, by comparing with all.

    Shape (queries, depth), or less wide where there are fewer vectors.
    """
    rows = len(asking)
    best: Vectors = np.empty((rows, 0), dtype=np.float32)
    ids: Ids = np.empty((rows, 0), dtype=np.int64)
    for part in parts:
        # Many queries at once: FAISS takes a matrix product from 128,000 numbers in them.
        vectors, k = part.vectors.astype(np.float32), min(depth + 1, len(part.ids))
        found, at = faiss.knn(asking.vectors, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
        scores, all_ids = np.hstack([best, found]), np.hstack([ids, part.ids[at]])
        order = np.argsort(-scores, axis=1, kind="stable")[:, : depth + 1]
        best = np.take_along_axis(scores, order, axis=1)
        ids = np.take_along_axis(all_ids, order, axis=1)
    others = ids != asking.own[:, None]
    others[others.all(axis=1), -1] = False  # none is the query: the last one is too many
    neighbours: Ids = ids[others].reshape(rows, -1)
    return neighbours


def _enough(ranks: Ranks, recall: float) -> int:
    """Return the smallest nprobe whose recall is that much, even less two standard errors."""
    if not ranks.size:
        return 1  # no query has a neighbour

    def sure(probes: int) -> float:
        shares = (ranks < probes).mean(axis=1)  # (queries,)
        return float(shares.mean() - 2 * shares.std() / math.sqrt(len(shares)))

    every = range(1, int(ranks.max(initial=0)) + 2)  # the last of them finds all
    return every[bisect_left(every, recall, key=sure)]

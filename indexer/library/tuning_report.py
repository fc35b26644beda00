"""The tuning report: recall and latency of several settings, for queries by words and by photo.

An IVF index is tuned whenever it is written. This report measures more settings, on held-out
queries: one half of the tuning queries chooses nprobe, and the other half measures.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from indexer.core.encoder import Vectors
from indexer.core.types import Kind
from indexer.library.library import Library
from indexer.library.lock import LockTimeout
from indexer.vectors.ivf_index import IvfIndex
from indexer.vectors.nprobe_tuning import RecallTarget, TuningQueries, halved, recall_at

DEPTH = 10
"""Recall is told of the ten nearest."""

_STEPS = (0.25, 0.5, 1, 2, 4)
"""Settings that are shown: shares of the lists that were chosen."""

_TIMED = 50  # queries, one at a time


@dataclass(frozen=True, kw_only=True)
class SearchSetting:
    """One way to search an index, by the kind of the query.

    Attributes:
        item: what is found.
        lists: that are looked through; 0 for an exact index, without lists.
        of: how many lists there are.
        recall: share of the ten nearest that are found, of the queries that report.
        seconds: of the median query.
        chosen: whether searches go this way.
    """

    item: Kind
    lists: int
    of: int
    recall: Mapping[Kind, float]
    seconds: Mapping[Kind, float]
    chosen: bool


def tune(
    library: Library, aim: RecallTarget | None = None, *, patience: LockTimeout | None = None
) -> list[SearchSetting]:
    """Set the recall target of a library's indexes, tune them, and measure several settings.

    An index is rewritten if its type does not suit the recall target; else only nprobe changes.

    Args:
        library: open.
        aim: to be reached from now on; None for the one that the library has.
        patience: with another writer.

    Raises:
        LibraryLocked: another process is writing.
    """
    with library.writing(patience):
        library.tune(aim or library.vectors.aim())
        return [setting for kind in Kind for setting in _measured(library, kind)]


def _measured(library: Library, item: Kind) -> list[SearchSetting]:
    """Measure the settings of the index of a kind, the fastest first."""
    index = library.vectors.load(item).base
    if not len(index):
        return []
    asking = {
        kind: each
        for kind, each in halved(library.normalizer.questions(item), 1).items()
        if len(each)
    }
    if not isinstance(index, IvfIndex):
        recall = dict.fromkeys(asking, 1.0)
        seconds = {kind: _seconds(index.search, each) for kind, each in asking.items()}
        return [
            SearchSetting(item=item, lists=0, of=0, recall=recall, seconds=seconds, chosen=True)
        ]
    ranks = library.vectors.ranks(item, asking)
    chosen = index.probes_for(DEPTH)
    shown = sorted({min(index.lists, max(1, round(step * chosen))) for step in _STEPS})
    return [
        SearchSetting(
            item=item,
            lists=lists,
            of=index.lists,
            recall={kind: recall_at(rows[:, :DEPTH], lists) for kind, rows in ranks.items()},
            seconds={
                kind: _seconds(partial(index.probe, probes=lists), each)
                for kind, each in asking.items()
            },
            chosen=lists == chosen,
        )
        for lists in shown
    ]


def _seconds(search: Callable[[Vectors, int], object], asking: TuningQueries) -> float:
    """Return how long the median query takes, one query at a time."""
    seconds = []
    for query in asking.vectors[:_TIMED]:
        started = time.perf_counter()
        search(query[None], DEPTH)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)

"""How long facets, completions and ids take in a large library, on one thread.

    python benchmarks/browsing.py --rows 100000

A catalog is filled with as many photos as wanted, as `benchmarks/filters.py` describes them, and
with captions; no files are made. Milliseconds are of CPU. `first` is the first question after the
start, `commit` the first one after 256 more photos, `new filter` the first with a filter that was
not asked for since, `again` the median of 30 that ask the same.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from filters import COMMIT, PHOTOS, entry

from indexer.catalog.changes import NewFile, Transaction
from indexer.catalog.meta import LibraryMeta
from indexer.catalog.reader import CatalogReader
from indexer.catalog.writer import CatalogWriter
from indexer.core.filters import AllOf
from indexer.core.types import Kind, SegmentRow
from indexer.library.facet_counts import FacetCounter
from retrieval.search.facets import facets
from retrieval.search.filter_syntax import split_filters
from retrieval.search.suggestions import Suggester

WORDS = ("dog", "beach", "sunset", "mountain", "child", "bridge", "market", "snow", "boat", "cat")
NEW, TIMED = 256, 30


@dataclass(frozen=True)
class Library:
    """What facets and completions ask of a library."""

    folder: Path
    facets: FacetCounter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "catalog.sqlite"
        CatalogWriter.create(path, LibraryMeta(model="", fingerprint="", dim=1))
        with closing(CatalogWriter.open(path)) as catalog:
            catalog.apply(Transaction(roots=[PHOTOS]))
            for start in range(0, args.rows, COMMIT):
                add(catalog, range(start, min(start + COMMIT, args.rows)), args.rows)
            measure(catalog, CatalogReader(path), args.rows)


def add(catalog: CatalogWriter, numbers: range, rows: int) -> None:
    """Add photos in one commit."""
    files = []
    for number in numbers:
        photo = entry(number, np.empty(0), rows)
        said = " ".join(WORDS[(number * step) % len(WORDS)] for step in (1, 3, 7))
        about = replace(photo.about, caption=f"a {said} {number % 20_000}x")
        ids = range(number + 1, number + 2)
        files.append(NewFile(state=photo.state, ids=ids, texts=("",), about=about))
    segment = SegmentRow(number=numbers.start, kind=Kind.PHOTO, rows=len(files))
    catalog.apply(Transaction(files=files, segments=[segment]))


def measure(catalog: CatalogWriter, reader: CatalogReader, rows: int) -> None:
    """Print what each question takes."""
    library = Library(Path("/nowhere"), FacetCounter(reader, lambda: catalog))
    suggester = Suggester(library)  # type: ignore[arg-type]
    written = "camera:canon after:2012"

    def counted(query: str) -> Callable[[], object]:
        return lambda: facets(library, Kind.PHOTO, split_filters(query)[1])  # type: ignore[arg-type]

    print(f"{rows:,} photos, milliseconds of CPU")
    tell("facets, first", counted(""))
    add(catalog, range(rows, rows + NEW), rows)
    tell("facets, commit", counted(""))
    tell("facets, new filter", counted("camera:canon"))
    tell("facets, two new filters", counted("in:/made-up/photos/0001 orientation:portrait"))
    tell("facets, again", counted(written), TIMED)
    tell("ids of all", lambda: catalog.newest(Kind.PHOTO, AllOf(), frames=False), 5)
    tell("completions, first", lambda: suggester.complete("dog"))
    for typed in ("do", "camera:can", "near:mila", "in:00", "fam"):
        tell(f"completions, again: {typed}", lambda typed=typed: suggester.complete(typed), TIMED)


def tell(name: str, ask: Callable[[], object], times: int = 1) -> None:
    """Print the median of some questions; of several, the first is not counted."""
    if times > 1:
        ask()
    taken = []
    for _ in range(times):
        started = time.process_time()
        ask()
        taken.append(1e3 * (time.process_time() - started))
    print(f"{name:32}  {statistics.median(taken):7.1f}", flush=True)


if __name__ == "__main__":
    main()

"""How fast a search among some photos is, and what it finds of what an exact search finds.

    twinlens index PHOTOS... --library L        # some thousand real photos, once
    python benchmarks/filters.py --library L --captions dev.jsonl --rows 100000
    python benchmarks/filters.py --library L --captions dev.jsonl --rows 1000000
    python benchmarks/filters.py --rows 1000000                       # the catalog's part alone

The photos' vectors grow to as many as wanted (`benchmarks/grown.py`), with dates, places, cameras
and keywords as photos have them; no files are made. Captions ask as they do in a search, with the
correction for hubness. Milliseconds are of CPU, on one thread, the median of 30 of them: `ids` is
what the catalog takes to say which photos match, `first` that and the search, `again` the search
with the same filter, as of the next page. Recall is of 300 captions, against all products in numpy,
among the photos that the filter should let through, with its standard error. Without `--library`
the least CPU time of five is told of what the catalog takes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import faiss
import numpy as np
from grown import grown
from index_types import Borrowed, captions
from numpy.typing import NDArray

from indexer.calibration.hubness import with_alpha
from indexer.catalog.changes import FileState, NewFile, Transaction
from indexer.catalog.meta import LibraryMeta
from indexer.catalog.writer import CatalogWriter
from indexer.core.encoder import Vectors
from indexer.core.filters import (
    AllOf,
    CameraName,
    DateRange,
    FileType,
    Filter,
    HasOrientation,
    HasTag,
    InFolder,
    MinRating,
    NearPosition,
    Not,
)
from indexer.core.types import Candidate, Kind, Metadata, Orientation, SegmentRow
from indexer.library.batch import BatchEntry, IndexBatch
from indexer.library.library import Library
from indexer.metadata.extract import METADATA_VERSION

COMMIT, FOLDER, TIMED, K, CHOICES = 10_000, 1_000, 30, 10, 5
PHOTOS = Path("/made-up/photos")
CAMERAS = ("Apple iPhone 12", "Canon EOS R5", "Nikon D750", "Sony ILCE-7M3")
RARE = "Fujifilm X100V"  # of every hundredth photo
FIRST, DAYS = datetime(2010, 1, 1), 3650

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="of real photos")
    parser.add_argument("--captions", type=Path, help="pairs, as JSONL")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--alpha", type=float, default=0.5, help="share of hubness; builtin: 0.5")
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep what is made here")
    parser.set_defaults(double=False)
    args = parser.parse_args()
    faiss.omp_set_num_threads(1)
    if not args.library:
        with tempfile.TemporaryDirectory() as folder:
            choose(args.home or Path(folder) / "catalog.sqlite", args.rows)
        return
    queries = captions(args)
    with tempfile.TemporaryDirectory() as folder:
        home = args.home or Path(folder) / "library"
        if not home.exists():
            make(home, args)
        with Library.open(home) as library:
            compare(library, queries, args.alpha)


def make(home: Path, args: argparse.Namespace) -> None:
    """Make the library."""
    with (
        Library.open(args.library) as real,
        Library.create(home, Borrowed(real, double=False)) as library,
    ):
        vectors = grown(real.sample(Kind.PHOTO, args.rows, seed=0), args.rows, seed=0)
        fill(library, vectors)


def choose(path: Path, rows: int) -> None:
    """Print how long a catalog takes to say which photos match; it has no vectors."""
    if not path.exists():
        CatalogWriter.create(path, LibraryMeta(model="", fingerprint="", dim=1))
    with closing(CatalogWriter.open(path)) as catalog:
        for start in range(catalog.count_files(), rows, COMMIT):
            numbers = range(start, min(start + COMMIT, rows))
            files = [
                NewFile(state=each.state, ids=range(at, at + 1), texts=("",), about=each.about)
                for at, each in ((at + 1, entry(at, np.empty(0), rows)) for at in numbers)
            ]
            segment = SegmentRow(number=start, kind=Kind.PHOTO, rows=len(files))
            catalog.apply(Transaction(files=files, roots=[PHOTOS], segments=[segment]))
        for name, where, kept in filters(rows):
            if where is None:
                continue
            taken = [timed(lambda w=where: catalog.selected(Kind.PHOTO, w)) for _ in range(CHOICES)]
            assert taken[0][1].holds(np.arange(1, rows + 1)).sum() == len(kept), name
            milliseconds = 1e3 * min(seconds for seconds, _ in taken)
            print(f"{name:24}  {len(kept) / rows:6.1%}  {milliseconds:6.1f}", flush=True)


def fill(library: Library, vectors: Vectors) -> None:
    """Commit so many photos, as an index run would."""
    started, rows = time.process_time(), len(vectors)
    for start in range(0, rows, COMMIT):
        numbers = range(start, min(start + COMMIT, rows))
        found = [entry(number, vectors[number : number + 1], rows) for number in numbers]
        library.commit(IndexBatch(entries=found, roots=[PHOTOS]))
    library.refresh_index()
    print(f"{rows:,} photos written in {time.process_time() - started:.0f} s of CPU", flush=True)


def compare(library: Library, queries: Vectors, alpha: float) -> None:
    """Print time and recall of each filter."""
    scores = products(library, with_alpha(queries, alpha))
    library.search(queries[:1], Kind.PHOTO, K, alpha=alpha)  # opens the index
    print(f"{'filter':24}  {'share':>6}  {'ids':>6}  {'first':>6}  {'again':>6}  recall@{K}")
    for name, where, kept in filters(scores.shape[1]):
        ids, first, again = [], [], []
        for query in queries[:TIMED]:
            catalog, _ = timed(lambda w=where: w and library.catalog.selected(Kind.PHOTO, w))
            search = library_search(library, query, alpha, where)
            search()  # the filter is remembered
            seconds, _ = timed(search)
            ids, first, again = [*ids, catalog], [*first, catalog + seconds], [*again, seconds]
        shown = "  ".join(f"{1e3 * statistics.median(each):6.1f}" for each in (ids, first, again))
        recalls = [
            recall(library_search(library, query, alpha, where)(), row, kept)
            for query, row in zip(queries, scores, strict=True)
        ]
        share, error = len(kept) / scores.shape[1], np.std(recalls) / len(recalls) ** 0.5
        print(f"{name:24}  {share:6.1%}  {shown}  {np.mean(recalls):.3f} ± {error:.3f}", flush=True)


def recall(hits: list[Candidate], row: NDArray[np.float32], kept: NDArray[np.int64]) -> float:
    """Return the share of the K best photos, of those that are kept, that were found."""
    few = min(K, len(kept))
    best = kept[np.argpartition(-row[kept], few - 1)[:few]] + 1  # ids count from 1
    return len({hit.id for hit in hits} & set(best.tolist())) / few


def library_search(
    library: Library, query: Vectors, alpha: float, where: Filter | None
) -> Callable[[], list]:
    """Return what asks once."""
    return lambda: library.search(query[None], Kind.PHOTO, K, alpha=alpha, where=where)[0]


def timed(action: Callable[[], T]) -> tuple[float, T]:
    """Run once; return seconds of CPU and the result."""
    started = time.process_time()
    result = action()
    return time.process_time() - started, result


def products(library: Library, asked: Vectors) -> NDArray[np.float32]:
    """Return all scores of all queries, by the ids of the photos. Shape (queries, photos)."""
    return np.concatenate(
        [
            asked @ segment.vectors[start : start + COMMIT].astype(np.float32).T
            for segment in library.segments(0)
            for start in range(0, len(segment.ids), COMMIT)
        ],
        axis=1,
    )


def filters(rows: int) -> Iterator[tuple[str, Filter | None, NDArray[np.int64]]]:
    """Yield filters with the numbers of the photos that they should let through."""
    number = np.arange(rows)
    day = number * DAYS // rows
    year = (day >= 365) & (day < 730)
    since, until = FIRST + timedelta(days=365), FIRST + timedelta(days=730)
    rare, family, wide = number % 100 == 0, number % 50 == 7, number % 3 > 0
    yield "none", None, number
    yield "all photos", DateRange(since=FIRST), number
    yield "nine years of ten", DateRange(since=since), number[day >= 365]
    yield "not a keyword", Not(filter=HasTag(name="family")), number[~family]
    yield "a folder of all", InFolder(folder=PHOTOS), number
    yield "a type of all", FileType(suffixes=(".jpg", ".jpeg")), number
    yield "landscape", HasOrientation(orientation=Orientation.LANDSCAPE), number[wide]
    yield "four stars", MinRating(at_least=4), number[number % 6 > 3]
    yield "five years of ten", DateRange(since=FIRST + timedelta(days=1825)), number[day >= 1825]
    yield "one year of ten", DateRange(since=since, until=until), number[year]
    yield (
        "around a place",
        NearPosition(latitude=41.9, longitude=12.5, km=25),
        number[number % 20 == 3],
    )
    yield "a keyword", HasTag(name="family"), number[family]
    yield "a rare camera", CameraName(name="x100v"), number[rare]
    both = AllOf(filters=(CameraName(name="x100v"), DateRange(since=since, until=until)))
    yield "camera and year", both, number[rare & year]


def entry(number: int, vector: Vectors, rows: int) -> BatchEntry:
    """Describe a photo that there is none of."""
    state = FileState(
        path=PHOTOS / f"{number // FOLDER:04}" / f"IMG_{number:07}.jpg",
        kind=Kind.PHOTO,
        size=3_000_000,
        mtime_ns=1_700_000_000_000_000_000 + number,
        digest=number.to_bytes(16, "big"),
        reader="",
        stamp=f"{METADATA_VERSION} 0",
    )
    return BatchEntry(state=state, texts=("",), vectors=vector, about=described(number, rows))


def described(number: int, rows: int) -> Metadata:
    """Return what a photo of that number says; a third of the others has a position in Oslo."""
    rome, placed = number % 20 == 3, number % 3 == 0
    return Metadata(
        taken=FIRST + timedelta(days=number * DAYS // rows, seconds=number % 86_400),
        latitude=41.9 if rome else 59.9 if placed else None,
        longitude=12.5 if rome else 10.75 if placed else None,
        place="Rome, Italy" if rome else "Oslo, Norway" if placed else "",
        camera=RARE if number % 100 == 0 else CAMERAS[number % len(CAMERAS)],
        rating=number % 6 or None,
        keywords=("family", "holiday") if number % 50 == 7 else (),
        width=6000 if number % 3 else 4000,
        height=4000 if number % 3 else 6000,
    )


if __name__ == "__main__":
    main()

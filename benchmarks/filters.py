"""How fast a search among some photos is, and how fast an unchanged library is passed over.

    python benchmarks/filters.py --rows 100000     # some GB of memory and a million files at most

The library is made up: random unit vectors of 256 dimensions and files of one byte, with dates,
places, cameras and keywords as photos have them. Recall is measured against a full sort of all
products in numpy, among the photos that the filter should let through.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from indexer.build import index_folders
from indexer.changes import FileState
from indexer.encoder import Vectors
from indexer.library import Batch, Entry, Library
from indexer.metadata import METADATA_VERSION
from indexer.types import Hubness, Kind, Metadata
from indexer.wanted import AllOf, Camera, Filter, Near, Tag, Taken

DIM, COMMIT, FOLDER, QUERIES, K = 256, 10_000, 1_000, 20, 10
CAMERAS = ("Apple iPhone 12", "Canon EOS R5", "Nikon D750", "Sony ILCE-7M3")
RARE = "Fujifilm X100V"  # of every hundredth photo
FIRST, DAYS = datetime(2010, 1, 1), 3650


class NoModel:
    """Names a model and encodes nothing; see `indexer.encoder.Encoder`."""

    name, fingerprint, dim, image_size, hubness = "random", "random", DIM, 224, Hubness()

    def bank(self, kind: Kind) -> Vectors:
        """Return no vectors: nothing is corrected."""
        del kind
        return np.empty((0, DIM), dtype=np.float32)

    def encode_images(self, images: object) -> Vectors:
        """Refuse: no photo is new."""
        raise NotImplementedError

    def encode_texts(self, texts: object) -> Vectors:
        """Refuse: no text is new."""
        raise NotImplementedError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        photos, vectors = Path(folder) / "photos", random_vectors(rows, seed=0)
        with Library.create(Path(folder) / "library", NoModel()) as library:
            started = time.perf_counter()
            for start in range(0, rows, COMMIT):
                numbers = range(start, min(start + COMMIT, rows))
                library.commit(
                    Batch(entries=list(entries(photos, numbers, vectors)), roots=[photos])
                )
            library.refresh_index()
            print(f"{rows:,} photos written in {time.perf_counter() - started:.1f} s")
        with Library.open(Path(folder) / "library") as library:
            report = index_folders(library, NoModel(), [photos])
            assert report.unchanged == rows, report
            print(f"unchanged library passed over in {report.seconds:.2f} s")
            compare(library, vectors)


def compare(library: Library, vectors: Vectors) -> None:
    """Print time and recall of each filter, and what the catalog's part of the time is."""
    queries = random_vectors(QUERIES, seed=1)
    library.search(queries[:1], Kind.PHOTO, K)  # loads the index
    scores = queries @ vectors.astype(np.float16).astype(np.float32).T  # (queries, rows)
    print(f"{'filter':24}  {'share':>6}  {'p50 ms':>7}  {'of it SQL':>9}  recall@{K}")
    for name, where, kept in filters(len(vectors)):
        asked, catalog, recalls = [], [], []
        for query, row in zip(queries, scores, strict=True):
            started = time.perf_counter()
            (hits,) = library.search(query[None], Kind.PHOTO, K, where=where)
            asked.append(time.perf_counter() - started)
            if where is not None:
                started = time.perf_counter()
                library.catalog.matching(Kind.PHOTO, where)
                catalog.append(time.perf_counter() - started)
            best = kept[np.argsort(-row[kept], kind="stable")[:K]] + 1  # ids count from 1
            recalls.append(len({hit.id for hit in hits} & set(best.tolist())) / min(K, len(kept)))
        sql = 1e3 * statistics.median(catalog or [0.0])
        share = len(kept) / len(vectors)
        p50 = 1e3 * statistics.median(asked)
        print(f"{name:24}  {share:6.1%}  {p50:7.1f}  {sql:9.1f}  {np.mean(recalls):.3f}")


def filters(rows: int) -> Iterator[tuple[str, Filter | None, np.ndarray]]:
    """Yield filters with the numbers of the photos that they should let through."""
    number = np.arange(rows)
    day = number * DAYS // rows
    year = (day >= 365) & (day < 730)
    yield "none", None, number
    yield "all photos", AllOf(), number
    since, until = FIRST + timedelta(days=365), FIRST + timedelta(days=730)
    yield "one year of ten", Taken(since=since, until=until), number[year]
    rare = number % 100 == 0
    yield "a rare camera", Camera(name="x100v"), number[rare]
    yield "a keyword", Tag(name="family"), number[number % 50 == 7]
    both = AllOf(filters=(Camera(name="x100v"), Taken(since=since, until=until)))
    yield "camera and year", both, number[rare & year]
    yield "around a place", Near(latitude=41.9, longitude=12.5, km=25), number[number % 20 == 3]


def entries(folder: Path, numbers: range, vectors: Vectors) -> Iterator[Entry]:
    """Write files of one byte and describe them."""
    for number in numbers:
        path = folder / f"{number // FOLDER:04}" / f"IMG_{number:07}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        status = path.stat()
        state = FileState(
            path=path,
            kind=Kind.PHOTO,
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            digest=number.to_bytes(16, "big"),
            reader="",
            stamp=f"{METADATA_VERSION} 0",
        )
        yield Entry(
            state=state, texts=("",), vectors=vectors[number : number + 1],
            about=described(number, len(vectors)),
        )  # fmt: skip


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


def random_vectors(rows: int, seed: int) -> Vectors:
    """Draw unit vectors. Shape (rows, DIM)."""
    vectors = np.random.default_rng(seed).normal(size=(rows, DIM)).astype(np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


if __name__ == "__main__":
    main()

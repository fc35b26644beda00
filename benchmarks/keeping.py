"""What keeping a large library costs: nothing changed, a hundred photos more, a check, a move.

    python benchmarks/keeping.py --files 100000

A synthetic library: files of a few bytes in folders of a hundred, random unit vectors of 256
dimensions. The encoder is one of random vectors too, so no figure holds the time of a model.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from indexer.catalog.changes import FileState
from indexer.core.encoder import Vectors
from indexer.core.types import Hubness, Kind
from indexer.ingest.pipeline import index_folders
from indexer.ingest.walker import WalkOptions, walk
from indexer.library.batch import BatchEntry, IndexBatch
from indexer.library.library import Library
from indexer.library.verify import check

DIM, BATCH, NEW = 256, 5_000, 100

T = TypeVar("T")


class RandomEncoder:
    """Unit vectors at random, the same for the same order of calls."""

    name, fingerprint, dim, image_size, hubness = "random", "f0", DIM, 64, Hubness()

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def vectors(self, rows: int) -> Vectors:
        """Return unit vectors. Shape (rows, 256)."""
        drawn = self._rng.normal(size=(rows, DIM)).astype(np.float32)
        unit: Vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        return unit

    def bank(self, kind: Kind) -> Vectors:
        """Return a bank as large as the built-in model's. Shape (1000, 256)."""
        del kind
        return self.vectors(1_000)

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Embed photos."""
        return self.vectors(len(images))

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts."""
        return self.vectors(len(texts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=[10_000, 100_000])
    for count in parser.parse_args().files:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), count)


def measure(home: Path, count: int) -> None:
    """Make a library of so many photos and print what keeping it costs."""
    encoder, photos = RandomEncoder(), home / "photos"
    make_files(photos, count)
    with Library.create(home / "library", encoder) as library:
        fill(library, encoder, photos)
        index_folders(library, encoder, [photos])  # once, to tidy up
        timed(count, "nothing changed", lambda: index_folders(library, encoder, [photos]))
        add_photos(photos / "new")
        timed(count, f"{NEW} photos more", lambda: index_folders(library, encoder, [photos]))
        add_photos(photos / "newer", NEW)
        only = [photos / "newer"]
        timed(
            count, f"{NEW} more, their folder alone", lambda: index_folders(library, encoder, only)
        )
        timed(count, "check", lambda: check(library.folder))
        photos.rename(home / "moved")
        timed(count, "move-root", lambda: library.move_root(photos, home / "moved"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{count:>7,}  peak memory of all this {peak:,.0f} MB")


def timed(count: int, label: str, action: Callable[[], T]) -> T:
    """Run once and print wall-clock and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = action()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{count:>7,}  {label:<28} {wall:6.2f} s, {cpu:6.2f} s of CPU", flush=True)
    return result


def make_files(folder: Path, count: int) -> None:
    """Write files named like photos, a hundred a folder."""
    for number in range(count):
        path = folder / f"{number // 100:05}" / f"IMG_{number:06}.jpg"
        if number % 100 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(str(number).encode())


def fill(library: Library, encoder: RandomEncoder, folder: Path) -> None:
    """Commit the files as if each had been a photo."""
    found = list(walk([folder], options=WalkOptions()))
    for start in range(0, len(found), BATCH):
        some = found[start : start + BATCH]
        vectors = encoder.vectors(len(some))
        entries = [
            BatchEntry(state=state(file.path), texts=("",), vectors=vectors[row : row + 1])
            for row, file in enumerate(some)
        ]
        library.commit(IndexBatch(entries=entries, roots=[folder] if not start else ()))


def state(path: Path) -> FileState:
    """Describe a file as the index line does."""
    status = path.stat()
    return FileState(
        path=path,
        kind=Kind.PHOTO,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        digest=hashlib.blake2b(path.read_bytes(), digest_size=16).digest(),
        reader="benchmark",
    )


def add_photos(folder: Path, seed: int = 0) -> None:
    """Draw small photos, no two alike."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(NEW):
        pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")


if __name__ == "__main__":
    main()

"""A library of as many photos as wanted, made quickly: real files, drawn vectors, real metadata.

The files are links to a few drawn photos, so each one has a thumbnail. Nothing is decoded or
embedded: the vectors are those of the real library, moved at random.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from indexer.catalog.changes import FileState
from indexer.core.encoder import Vectors
from indexer.core.types import Kind, Metadata
from indexer.library.batch import BatchEntry, IndexBatch
from indexer.library.library import Library
from indexer.metadata.extract import METADATA_VERSION

FIRST_DAY, MINUTES = datetime(2015, 1, 1), 50
"""When the first photo was taken, and how long after it the next one."""

CAMERAS = ("Apple iPhone 12", "Canon EOS R5", "Nikon D750", "Sony ILCE-7M3")
_FOLDER, _COMMIT, _SPREAD = 1_000, 10_000, 0.08


def make_big_library(small: Path, home: Path, drawn: Sequence[Path], count: int) -> Path:
    """Copy a real library to `home` and add `count` photos, as one index run would.

    The photos are links to the drawn ones, in a folder beside the library.
    """
    photos = home.with_name(f"{home.name}-photos")
    shutil.copytree(small, home)
    with Library.open(home) as library:
        real = library.sample(Kind.PHOTO, 64, seed=0)
        for start in range(0, count, _COMMIT):
            numbers = range(start, min(start + _COMMIT, count))
            vectors = _near(real, len(numbers), seed=start)
            entries = [
                _entry(_linked(drawn, photos, number), number, vectors[row : row + 1])
                for row, number in enumerate(numbers)
            ]
            library.commit(IndexBatch(entries=entries, roots=[photos]))
        library.refresh_index()
    return home


def _near(real: Vectors, count: int, *, seed: int) -> Vectors:
    """Return unit vectors near the real ones. Shape (count, dim)."""
    rng = np.random.default_rng(seed)
    centres = real[rng.integers(0, len(real), count)]
    moved = centres + _SPREAD * rng.standard_normal(centres.shape, dtype=np.float32)
    unit: Vectors = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return unit


def _linked(drawn: Sequence[Path], photos: Path, number: int) -> Path:
    """Link to one of the drawn photos under a name of its own."""
    path = photos / f"{number // _FOLDER:04}" / f"IMG_{number:07}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(drawn[number % len(drawn)], path)
    return path


def _entry(path: Path, number: int, vector: Vectors) -> BatchEntry:
    """Describe a photo as an index run does."""
    about = path.stat()
    width, height = ((320, 213), (213, 320), (320, 320), (320, 160))[number % 4]
    state = FileState(
        path=path,
        kind=Kind.PHOTO,
        size=about.st_size,
        mtime_ns=about.st_mtime_ns,
        digest=number.to_bytes(16, "big"),
        reader="",
        stamp=f"{METADATA_VERSION} 0",
    )
    metadata = Metadata(
        taken=FIRST_DAY + timedelta(minutes=MINUTES * number),
        latitude=41.9 if number % 3 == 0 else None,
        longitude=12.5 if number % 3 == 0 else None,
        place="Rome, Italy" if number % 3 == 0 else "",
        camera=CAMERAS[number % len(CAMERAS)],
        rating=number % 6 or None,
        keywords=("family",) if number % 50 == 7 else (),
        width=width,
        height=height,
    )
    return BatchEntry(state=state, texts=("",), vectors=vector, about=metadata)

"""The same vectors as a library of twinlens and as one of rclip; no photo is there or needed.

    python benchmarks/peers/libraries.py --blank DIR --photos FOLDER --out DIR [--rclip DIR]

A blank library lends the model's name and its bank. Vectors are those of the bank's generic
captions, each moved a little at random: what a query meets is neither all alike nor all unrelated.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from indexer.catalog.changes import FileState
from indexer.core.encoder import Vectors
from indexer.core.types import Kind, Metadata
from indexer.library.batch import BatchEntry, IndexBatch
from indexer.library.library import Library
from indexer.metadata.extract import METADATA_VERSION

COMMIT, BYTES, SPREAD = 10_000, 3_300_000, 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blank", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--photos", type=Path, required=True, help="where they are said to lie")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rclip", type=Path, default=None)
    asked = parser.parse_args()
    part = asked.out.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(asked.blank, part)
    with Library.open(part) as library:
        vectors = around(library.normalizer.banks.of(Kind.TEXT), asked.rows)
        if asked.rclip:
            fill_rclip(asked.rclip, asked.photos, vectors)
        fill_twinlens(library, asked.photos, vectors)
    part.rename(asked.out)


def around(bank: Vectors, rows: int) -> Vectors:
    """Draw unit vectors around those of a bank. Shape (rows, dim)."""
    rng = np.random.default_rng(0)
    dim = bank.shape[1]
    moved = bank[rng.integers(len(bank), size=rows)]
    moved += rng.normal(scale=SPREAD / dim**0.5, size=(rows, dim)).astype(np.float32)
    unit: Vectors = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return unit


def path_of(number: int, photos: Path) -> Path:
    """Name a photo: a thousand a folder."""
    return photos / f"{2000 + number // 5_000}" / f"{number // 1_000:04}" / f"IMG_{number:07}.jpg"


def fill_twinlens(library: Library, photos: Path, vectors: Vectors) -> None:
    """Commit the vectors as an index run would have."""
    for start in range(0, len(vectors), COMMIT):
        some = list(entries(photos, start, vectors[start : start + COMMIT]))
        library.commit(IndexBatch(entries=some, roots=() if start else [photos]))
    library.refresh_index()


def entries(photos: Path, first: int, vectors: Vectors) -> Iterator[BatchEntry]:
    """Describe photos, numbered from `first`, that say nothing of themselves but their size."""
    for number, vector in enumerate(vectors, first):
        state = FileState(
            path=path_of(number, photos),
            kind=Kind.PHOTO,
            size=BYTES,
            mtime_ns=number,
            digest=number.to_bytes(16, "big"),
            reader="",
            stamp=f"{METADATA_VERSION} 0",
        )
        about = Metadata(width=4000, height=3000)
        yield BatchEntry(state=state, texts=("",), vectors=vector[None], about=about)


def fill_rclip(folder: Path, photos: Path, vectors: Vectors) -> None:
    """Insert the vectors as rclip does, float32, one a row, into the database that it made."""
    rows = (
        (str(path_of(number, photos)), number, BYTES, vector.tobytes(), f"{number:064x}")
        for number, vector in enumerate(vectors)
    )
    with sqlite3.connect(folder / "db.sqlite3") as database:
        database.execute("DELETE FROM images")
        database.executemany(
            "INSERT INTO images(filepath, modified_at, size, vector, hash) VALUES (?, ?, ?, ?, ?)",
            rows,
        )


if __name__ == "__main__":
    main()

"""Whether the tools computed the same: least cosine of one photo's vectors in two of them.

    python benchmarks/peers/agreement.py --library DIR --rclip DB.sqlite3 [--loop FILE.npy]

Random weights see little difference between photos, so cosines are high whatever one does; with the
mean of all photos taken away they tell. Prints one line for each comparison.
"""

from __future__ import annotations

import argparse
import sqlite3
from pathlib import Path

import numpy as np

from indexer.core.encoder import Vectors
from indexer.core.types import Kind
from indexer.library.library import Library


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--rclip", type=Path, required=True)
    parser.add_argument("--loop", type=Path, required=True)
    asked = parser.parse_args()
    ours, theirs, loop = of_twinlens(asked.library), of_rclip(asked.rclip), np.load(asked.loop)
    paths = sorted(ours)
    assert paths == sorted(theirs), "not the same photos"
    mine = np.stack([ours[path] for path in paths])
    print(told("rclip", mine, np.stack([theirs[path] for path in paths])))
    print(told("open_clip loop", mine, loop))


def of_twinlens(folder: Path) -> dict[str, Vectors]:
    """Read a library's photos. Shape (dim,) each."""
    with Library.open(folder) as library:
        ids = library.catalog.item_ids(Kind.PHOTO).tolist()
        vectors = library.fetch(ids, Kind.PHOTO)
        records = library.records(ids)
    return {str(record.path): vector for record, vector in zip(records, vectors, strict=True)}


def of_rclip(file: Path) -> dict[str, Vectors]:
    """Read a database's photos. Shape (dim,) each."""
    with sqlite3.connect(file) as database:
        rows = database.execute("SELECT filepath, vector FROM images").fetchall()
    return {path: np.frombuffer(vector, dtype=np.float32) for path, vector in rows}


def told(name: str, ours: Vectors, theirs: Vectors) -> str:
    """Write the least cosine, as they are and centred."""
    plain = cosines(ours, theirs).min()
    centred = cosines(ours - ours.mean(axis=0), theirs - theirs.mean(axis=0)).min()
    return (
        f"vectors of {len(ours)} photos, twinlens and {name}: cosine {plain:.5f} or more, "
        f"centred {centred:.4f} or more"
    )


def cosines(one: Vectors, other: Vectors) -> Vectors:
    """Return the cosine of each pair of rows. Shape (rows,)."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    found: Vectors = (one * other).sum(axis=1) / lengths
    return found


if __name__ == "__main__":
    main()

"""Vectors shaped like those of real photos, as many as wanted, and real words that ask for them.

A library of some thousand photos grows by exchanging what sets photos apart: the neighbourhood of
a photo (the mean of its ten nearest) gets the residual (what goes beyond that mean) of one of its
500 nearest. Both are real, so the spread about neighbourhoods, the share of each dimension and the
cosines to words stay what they are; `likeness` measures how well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from indexer.encoder import Vectors

NEIGHBOURS, LENDERS = 10, 500
_BLOCK = 65_536


def grown(photos: Vectors, rows: int, *, seed: int) -> Vectors:
    """Return `rows` unit vectors, the real ones first. Shape (rows, dim)."""
    rng = np.random.default_rng(seed)
    nearest = _nearest(photos, LENDERS)
    centres = photos[nearest[:, 1 : NEIGHBOURS + 1]].mean(axis=1)
    residuals = photos - centres
    vectors = np.empty((rows, photos.shape[1]), dtype=np.float32)
    vectors[: len(photos)] = photos[:rows]
    for start in range(len(photos), rows, _BLOCK):
        count = min(_BLOCK, rows - start)
        place = rng.integers(0, len(photos), count)
        lender = nearest[place, rng.integers(1, nearest.shape[1], count)]
        vectors[start : start + count] = unit(centres[place] + residuals[lender])
    return vectors


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Bring rows to unit length."""
    scaled: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def doubled(vectors: Vectors, *, seed: int, partners: int = NEIGHBOURS) -> Vectors:
    """Return vectors of twice the length: each beside one of its nearest. Shape (n, 2 dim)."""
    nearest = _nearest(vectors, partners + 1)
    pick = np.random.default_rng(seed).integers(1, nearest.shape[1], len(vectors))
    return unit(np.concatenate([vectors, vectors[nearest[np.arange(len(vectors)), pick]]], axis=1))


def _nearest(vectors: Vectors, count: int) -> NDArray[np.int64]:
    """Return the nearest of each row, itself first. Shape (n, count)."""
    count, found = min(count, len(vectors)), []
    for start in range(0, len(vectors), 1024):
        cosines = vectors[start : start + 1024] @ vectors.T
        best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(cosines, best, axis=1), axis=1)
        found.append(np.take_along_axis(best, order, axis=1))
    return np.concatenate(found)

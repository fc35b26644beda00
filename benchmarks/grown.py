"""Vectors shaped like those of real photos, as many as wanted, and real words that ask for them.

A library of some thousand photos grows by exchanging what sets photos apart: the neighbourhood of
a photo (the mean of its ten nearest) gets the residual (what goes beyond that mean) of one of its
500 nearest. Both are real, so the spread about neighbourhoods, the share of each dimension and the
cosines to words stay what they are; `likeness` measures how well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from indexer.core.encoder import Vectors

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
    pairs = len(photos) * (nearest.shape[1] - 1)  # no pair twice: equal vectors would tie
    drawn = rng.choice(pairs, max(0, rows - len(photos)), replace=False)
    for start in range(0, len(drawn), _BLOCK):
        place, rank = np.divmod(drawn[start : start + _BLOCK], nearest.shape[1] - 1)
        lender = nearest[place, 1 + rank]
        at = len(photos) + start
        vectors[at : at + len(place)] = unit(centres[place] + residuals[lender])
    return vectors


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Bring rows to unit length."""
    scaled: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def twice(vectors: Vectors) -> Vectors:
    """Return unit vectors beside themselves. Shape (n, 2 dim)."""
    return unit(np.concatenate([vectors, vectors], axis=1))


def doubled(vectors: Vectors, *, seed: int) -> Vectors:
    """Return unit vectors of twice the length: each beside one that is near. Shape (n, 2 dim).

    As if a second model had seen another photo of the same. Near are those of the same cell of a
    coarse quantizer, since the nearest of a million would take an hour.
    """
    rng = np.random.default_rng(seed)
    centres = vectors[rng.permutation(len(vectors))[: max(1, len(vectors) // NEIGHBOURS)]]
    cells = np.concatenate(
        [(some @ centres.T).argmax(axis=1) for some in np.array_split(vectors, 64)]
    )
    order = np.lexsort((rng.random(len(vectors)), cells))
    partner = np.empty(len(vectors), dtype=np.int64)
    partner[order] = np.roll(order, 1)  # the next of the cell; at its edge, of the one beside it
    return unit(np.concatenate([vectors, vectors[partner]], axis=1))


def likeness(real: Vectors, made: Vectors, words: Vectors) -> str:
    """Say how like real vectors made ones are, among as many of them, and to words."""
    some = made[np.random.default_rng(1).permutation(len(made))[: len(real)]]
    lines = []
    for name, vectors in (("real", real), ("grown", some)):
        cosines = words[:500] @ vectors.T
        best = np.partition(cosines, -10, axis=1)[:, -10]
        near = vectors[:500] @ vectors.T
        tenth = np.partition(near, -11, axis=1)[:, -11]
        lines.append(
            f"{name}: cosine to words {cosines.mean():.3f} ± {cosines.std():.3f}, to their tenth "
            f"{best.mean():.3f}, of a photo to its tenth {tenth.mean():.3f}"
        )
    return "\n".join(lines)


def _nearest(vectors: Vectors, count: int) -> NDArray[np.int64]:
    """Return the nearest of each row, itself first. Shape (n, count)."""
    count, found = min(count, len(vectors)), []
    for start in range(0, len(vectors), 1024):
        cosines = vectors[start : start + 1024] @ vectors.T
        best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(cosines, best, axis=1), axis=1)
        found.append(np.take_along_axis(best, order, axis=1))
    return np.concatenate(found)

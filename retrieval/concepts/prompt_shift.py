"""Compute the target of a learned name in the joint space: near its photos, far from other photos.

Shapes: p photos (and views of them), n other photos, d dimension. All vectors have unit length.
"""

from __future__ import annotations

import numpy as np

from indexer.core.encoder import Vectors
from retrieval.concepts.adam import Adam
from retrieval.models.numpy_gradients import unit
from retrieval.models.numpy_layers import sigmoid, softmax

STEPS, RATE = 100, 0.02
TEMPERATURE = np.float32(0.05)  # of the softmax over other photos; 0.02 overfits to five photos
MOST_SPARED = 0.1  # of the other photos: with very unlike examples, all would seem alike
FEW = 50  # other photos, below which they say little about what the name is not
ALONE = 0.9  # how alike two photos of one thing are, where one photo was given


def find_direction(examples: Vectors, others: Vectors, word: Vectors, *, near: float) -> Vectors:
    """Return the unit vector for which the examples score higher than other photos.

    It minimises `τ · InfoNCE + near · (1 - cosine with the plain word)`. Without enough other
    photos, the first term is the mean distance from the examples.

    Args:
        examples: views of the photos. Shape (p, d).
        others: photos that show something else, or mostly so. Shape (n, d).
        word: the plain word's vector, where the search starts. Shape (d,).
        near: weight of staying near the word; 1 is about half way, 0 forgets it.

    Source: van den Oord et al. 2018 (InfoNCE, arXiv 1807.03748).
    """
    adam, move = Adam(word.shape), np.zeros_like(word)
    for _ in range(STEPS):
        vector, back = unit(word + move)
        slope = _slope(vector, examples, others) - np.float32(near) * word
        move -= adam.step(back(slope), RATE)
    return unit(word + move)[0]


def strangers(photos: Vectors, others: Vectors) -> Vectors:
    """Leave out of the others those as like an example as the examples are among themselves.

    A library that a name is learned for holds more photos of the same thing.

    Args:
        photos: the examples, one view each. Shape (p, d).
        others: shape (n, d).
    """
    if not len(others):
        return others
    alike = (others @ photos.T).max(axis=1)  # (n,)
    among = (photos @ photos.T)[np.triu_indices(len(photos), k=1)]  # (p · (p - 1) / 2,)
    bound = np.quantile(among, 0.5, method="lower") if len(among) else ALONE
    kept: Vectors = others[alike < max(bound, np.quantile(alike, 1.0 - MOST_SPARED))]
    return kept


def _slope(vector: Vectors, examples: Vectors, others: Vectors) -> Vectors:
    """Return the gradient of `τ` times the InfoNCE loss of each example against all others.

    With s the scores of the examples and r the logsumexp of all others', both over τ, the loss is
    the mean of `τ · (logaddexp(s, r) - s)`. Shape (d,).
    """
    if len(others) < FEW:
        near: Vectors = -examples.mean(axis=0)
        return near
    scores = others @ vector / TEMPERATURE  # (n,)
    top = scores.max()
    rivals = top + np.log(np.exp(scores - top).sum())
    missed = sigmoid(rivals - examples @ vector / TEMPERATURE)  # (p,)
    away: Vectors = missed.mean() * (softmax(scores) @ others)
    return away - missed @ examples / np.float32(len(examples))

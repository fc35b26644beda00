"""Compute the target of a learned name in the joint space: near its photos, far from other photos.

Shapes: p photos (and views of them), n other photos, d dimension. All vectors have unit length.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

STEPS, RATE = 100, 0.02
TEMPERATURE = 0.05  # of the softmax over other photos; 0.02 overfits to five photos
MOST_SPARED = 0.1  # of the other photos: with very unlike examples, all would seem alike
FEW = 50  # other photos, below which they say little about what the name is not
ALONE = 0.9  # how alike two photos of one thing are, where one photo was given


def find_direction(examples: Tensor, others: Tensor, word: Tensor, *, near: float) -> Tensor:
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
    move = torch.zeros_like(word, requires_grad=True)
    adam = torch.optim.Adam([move], lr=RATE)
    for _ in range(STEPS):
        vector = F.normalize(word + move, dim=0)
        loss = _apart(vector, examples, others) + near * (1.0 - vector @ word)
        (move.grad,) = torch.autograd.grad(loss, [move])
        adam.step()
    return F.normalize(word + move, dim=0).detach()


def strangers(photos: Tensor, others: Tensor) -> Tensor:
    """Leave out of the others those as like an example as the examples are among themselves.

    A library that a name is learned for holds more photos of the same thing.

    Args:
        photos: the examples, one view each. Shape (p, d).
        others: shape (n, d).
    """
    if not len(others):
        return others
    alike = (others @ photos.T).amax(dim=1)  # (n,)
    among = (photos @ photos.T)[~torch.eye(len(photos), dtype=torch.bool)]  # (p · (p - 1),)
    bound = among.median() if len(among) else torch.tensor(ALONE)
    return others[alike < torch.maximum(bound, alike.quantile(1.0 - MOST_SPARED))]


def _apart(vector: Tensor, examples: Tensor, others: Tensor) -> Tensor:
    """Return `τ` times the InfoNCE loss of each example against all others, averaged."""
    own = examples @ vector  # (p,)
    if len(others) < FEW:
        return (1.0 - own).mean()
    rivals = torch.logsumexp(others @ vector / TEMPERATURE, dim=0)
    own = own / TEMPERATURE
    return TEMPERATURE * (torch.logaddexp(own, rivals) - own).mean()

"""Codes of classes: short vectors by which photos of a kind of thing are told from all others.

A photo's code is the mean of its classes' codes by their softened probabilities, of unit length;
a kind's code is a unit vector that lies near the codes of its photos. Both are fitted together, by
gradient:

- for each kind, the softmax over photos of the cosines shall be how the kind's probability is
  spread over the photos: this is what a search by name does;
- for each photo, the softmax over classes shall be the classes' probabilities.

Photos are those at hand and, as most classes have few or none, drawn ones: a normal cloud about the
direction in which a class's key tells it from the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from label_pairs import Taxonomy
from torch import Tensor
from torch.nn import functional as F

STEPS, RATE, SHARPNESS = 100, 1e-2, 15.0
SOFT = 1.5  # temperature of the softmax that mixes codes: what else a photo may show says much
DRAWN, OWN = 1000, 500  # photos of a step
NOISE, GAIN, SPREAD = 0.8, 12.0, 0.4  # of a drawn photo: cloud; what its class adds to the logit
LEAST = 0.05  # a smaller share of a class in a kind is none
MASS = 0.3  # photos of a kind in a step, by probability; with fewer there is nothing to rank


@dataclass(frozen=True)
class Keys:
    """What tells classes apart: weight (classes, r) and bias (classes,) for the readout."""

    weight: Tensor
    bias: Tensor

    def probabilities(self, read: Tensor) -> Tensor:
        """Return the probability of each class. (n, r) → (n, classes)."""
        return F.linear(read, self.weight, self.bias).softmax(1)


def members(taxonomy: Taxonomy, likely: Tensor, label: list[str], labels: list[str]) -> Tensor:
    """Say how much of each class and label belongs to each kind and label.

    A label's share of a classifier's class is what the classes' probabilities are on its photos,
    or 1 if they have a name in common.

    Args:
        taxonomy: the kinds.
        likely: probabilities of classes and labels. Shape (photos, classes + labels).
        label: that of each photo, or "".
        labels: all of them, in order.

    Returns:
        Shape (classes + labels, kinds + labels).
    """
    count = len(taxonomy.classes)
    rows = torch.tensor([labels.index(each) if each else -1 for each in label])
    alike = torch.stack([likely[rows == row, :count].sum(0) for row in range(len(labels))])
    alike /= alike.sum(1, keepdim=True)
    for column, one in enumerate(taxonomy.classes):
        names = {n.lower() for n in (*taxonomy.nouns[one].names, *taxonomy.names(one))}
        for row, name in enumerate(labels):
            if name.lower() in names:
                alike[row, column] = 1.0
    kinds = torch.cat([taxonomy.belongs, (alike @ taxonomy.belongs).clamp(max=1.0)])
    whole = torch.cat([kinds, torch.cat([alike.T, torch.eye(len(labels))])], dim=1)
    return whole * (whole >= LEAST)


class Draws:
    """Readouts of photos that show a class, drawn at random."""

    def __init__(self, read: Tensor, keys: Keys) -> None:
        self._mean, centred = read.mean(0), read - read.mean(0)
        spread = centred.T @ centred / len(read)
        width = len(spread)
        floor = 1e-4 * spread.trace() / width * torch.eye(width)
        self._cloud = NOISE * torch.linalg.cholesky(spread + floor)
        towards = spread @ keys.weight.T  # (r, classes)
        towards -= towards.mean(1, keepdim=True)
        gains = (towards * (keys.weight - keys.weight.mean(0)).T).sum(0)
        self._towards = (towards / gains).T  # (classes, r); adds 1 to its class's logit

    def __call__(self, count: int) -> Tensor:
        """Draw photos of classes at random. Shape (count, r)."""
        which = torch.randint(0, len(self._towards), (count,))
        gain = GAIN * (1.0 + SPREAD * (2.0 * torch.rand(count, 1) - 1.0))
        noise = torch.randn(count, len(self._mean)) @ self._cloud.T
        return self._mean + noise + gain * self._towards[which]


def fit_codes(
    read: Tensor, keys: Keys, whole: Tensor, itself: list[int], size: int
) -> tuple[Tensor, Tensor]:
    """Fit the codes of classes and of kinds.

    Args:
        read: readouts of photos. Shape (photos, r).
        keys: of the classes.
        whole: how much of each class is of each kind. Shape (classes, kinds).
        itself: the kind that is a class and no more, for each class.
        size: dimensions of the codes.

    Returns:
        Shapes (classes, size) and (kinds, size); those of kinds are of unit length.
    """
    torch.manual_seed(0)
    draws, own = Draws(read, keys), keys.probabilities(read)
    main = torch.linalg.svd(keys.weight - keys.weight.mean(0), full_matrices=False)[0]
    codes = F.normalize(main[:, :size], dim=1).requires_grad_()
    kinds = F.normalize(whole.T @ codes.detach(), dim=1).requires_grad_()
    sharp = torch.tensor(SHARPNESS).log().requires_grad_()
    optimizer = torch.optim.Adam([codes, kinds, sharp], lr=RATE)
    for step in range(STEPS):
        some = own[torch.randint(0, len(own), (OWN,))]
        likely = torch.cat([keys.probabilities(draws(DRAWN)), some])
        mixed = F.normalize(likely ** (1.0 / SOFT) @ codes, dim=1)
        scores = sharp.exp() * mixed @ F.normalize(kinds, dim=1).T
        loss = _over_photos(scores, likely @ whole) + _over_classes(scores[:, itself], likely)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        optimizer.param_groups[0]["lr"] = RATE * (1 - (step + 1) / STEPS)
    return codes.detach(), F.normalize(kinds.detach(), dim=1)


def _over_photos(scores: Tensor, shares: Tensor) -> Tensor:
    """Compare how scores and how shares of each kind are spread over photos. Both (n, kinds)."""
    mass = shares.sum(0)
    wanted = shares / (mass + 1e-6)
    each = -(wanted * scores.log_softmax(0)).sum(0)  # (kinds,)
    return each[mass > MASS].mean()


def _over_classes(scores: Tensor, likely: Tensor) -> Tensor:
    """Compare how scores and probabilities are spread over the classes of each photo."""
    return -(likely * scores.log_softmax(1)).sum(1).mean()

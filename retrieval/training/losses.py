"""Contrastive losses over one global batch.

Shapes: b photos, c captions (c ≥ b: a photo may bring several), d joint dimension.

`match[i, j]` is True where caption j was written for photo i. `ignore[i, j]` is True where it was
not, but must not count as a negative either (the same words, or the same photo twice).
"""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor
from torch.nn import functional as F

_OUT = -1e4  # a logit that softmax turns to zero, also in bfloat16


class Loss(StrEnum):
    """Which contrastive loss."""

    INFONCE = "infonce"
    SIGMOID = "sigmoid"


def info_nce(logits: Tensor, match: Tensor, ignore: Tensor) -> Tensor:
    """Return the symmetric InfoNCE loss, a scalar.

    Each matching pair is told apart from the negatives of its row (photo → captions) and of its
    column (caption → photos); the other matches of the row are left out, so that several
    captions of one photo do not compete. With one caption a photo and nothing ignored this is
    the cross-entropy of CLIP.

    Args:
        logits: temperature times cosine, float32, shape (b, c).
        match: bool, shape (b, c).
        ignore: bool, shape (b, c).

    Source: Oord et al. 2018 (arXiv 1807.03748); Radford et al. 2021 (arXiv 2103.00020).
    """
    negatives = logits.masked_fill(match | ignore, _OUT)
    photo, caption = match.nonzero(as_tuple=True)
    positive = logits[photo, caption]  # (c,)
    to_captions = F.softplus(negatives.logsumexp(dim=1)[photo] - positive)
    to_photos = F.softplus(negatives.logsumexp(dim=0)[caption] - positive)
    return (to_captions.mean() + to_photos.mean()) / 2


def sigmoid_loss(logits: Tensor, match: Tensor, ignore: Tensor) -> Tensor:
    """Return SigLIP's pairwise loss: every pair is a yes or no of its own; summed, divided by b.

    Args:
        logits: temperature times cosine plus the learned bias, float32, shape (b, c).
        match: bool, shape (b, c).
        ignore: bool, shape (b, c).

    Source: Zhai et al. 2023 (arXiv 2303.15343), algorithm 1.
    """
    sign = torch.where(match, 1.0, -1.0)
    each = F.logsigmoid(sign * logits).masked_fill(ignore, 0.0)
    return -each.sum() / logits.shape[0]


class Targets:
    """Which photos and captions of a batch belong together.

    Args:
        owner: for each caption, the row of its photo. Shape (c,).
        photo: an id for each photo; equal ids are the same photo. Shape (b,).
        caption: an id for each caption; equal ids are the same words. Shape (c,).
    """

    def __init__(self, owner: Tensor, photo: Tensor, caption: Tensor) -> None:
        rows = torch.arange(len(photo), device=owner.device)[:, None]
        self.match = rows == owner[None, :]  # (b, c)
        same_photo = photo[:, None] == photo[owner][None, :]
        same_words = caption[:, None] == caption[None, :]  # (c, c)
        described = (self.match.float() @ same_words.float()) > 0  # photo i has these words
        self.ignore = (same_photo | described) & ~self.match


def contrastive_loss(
    kind: Loss, photos: Tensor, captions: Tensor, scale: Tensor, bias: Tensor, batch: Targets
) -> Tensor:
    """Return the loss of one global batch, a scalar in float32.

    Args:
        kind: which loss.
        photos: embeddings of any length, shape (b, d).
        captions: embeddings of any length, shape (c, d).
        scale: log of the inverse temperature.
        bias: added to the logits of the sigmoid loss.
        batch: which pairs match, which are ignored.
    """
    cosine = F.normalize(photos.float(), dim=-1) @ F.normalize(captions.float(), dim=-1).T
    logits = scale.float().exp() * cosine
    if kind == Loss.SIGMOID:
        return sigmoid_loss(logits + bias.float(), batch.match, batch.ignore)
    return info_nce(logits, batch.match, batch.ignore)

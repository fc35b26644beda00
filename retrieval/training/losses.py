"""Contrastive losses over one global batch.

Shapes: b photos, c captions (c ≥ b: a photo may have several), d joint dimension.

`match[i, j]` is True if caption j was written for photo i. `ignore[i, j]` is True if it was not,
but must not count as a negative either: the photo has the same words among its captions, it is the
same photo twice, or the two come from different sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_OUT = -1e4  # a logit that softmax turns to zero, also in bfloat16


@dataclass(frozen=True)
class Targets:
    """Which photos and captions of a batch belong together: two boolean masks, shape (b, c)."""

    match: Tensor
    ignore: Tensor

    def to(self, device: torch.device) -> Targets:
        """Bring the masks to a device."""
        return Targets(self.match.to(device), self.ignore.to(device))

    def without(self, photos: Tensor) -> Targets:
        """Let some photos and their captions count for nothing. bool, shape (b,)."""
        captions = (self.match & photos[:, None]).any(dim=0)  # (c,)
        out = photos[:, None] | captions
        return Targets(self.match & ~out, self.ignore | out)


def info_nce(logits: Tensor, targets: Targets) -> Tensor:
    """Return the symmetric InfoNCE loss, a scalar.

    Each matching pair is told apart from the negatives of its row (photo → captions) and of its
    column (caption → photos); the other matches of the row are left out, so that several
    captions of one photo do not compete. With one caption a photo and nothing ignored this is
    the cross-entropy of CLIP.

    Args:
        logits: temperature times cosine, float32, shape (b, c).
        targets: which pairs match, which are left out.

    Source: Oord et al. 2018 (arXiv 1807.03748); Radford et al. 2021 (arXiv 2103.00020).
    """
    negatives = logits.masked_fill(targets.match | targets.ignore, _OUT)
    photo, caption = targets.match.nonzero(as_tuple=True)
    positive = logits[photo, caption]  # (c,)
    to_captions = F.softplus(negatives.logsumexp(dim=1)[photo] - positive)
    to_photos = F.softplus(negatives.logsumexp(dim=0)[caption] - positive)
    return (to_captions.mean() + to_photos.mean()) / 2


def sigmoid_loss(logits: Tensor, targets: Targets) -> Tensor:
    """Return SigLIP's pairwise loss: every pair is a yes or no of its own; summed, divided by b.

    Args:
        logits: temperature times cosine plus the learned bias, float32, shape (b, c).
        targets: which pairs match, which are left out.

    Source: Zhai et al. 2023 (arXiv 2303.15343), algorithm 1.
    """
    sign = torch.where(targets.match, 1.0, -1.0)
    each = F.logsigmoid(sign * logits).masked_fill(targets.ignore, 0.0)
    return -each.sum() / logits.shape[0]


def distillation_loss(logits: Tensor, taught: Sequence[Tensor]) -> Tensor:
    """Return how far the student's choices are from its teachers' mean, a scalar.

    For each photo the teachers' mean distribution over the captions, for each caption that over
    the photos; the cross-entropy of the student against it, averaged over both directions. All
    pairs of the batch count, also of photos and captions that never met.

    Args:
        logits: the student's, float32, shape (b, c).
        taught: the logits of each teacher, each of shape (b, c).

    Source: Yang et al. 2024 (CLIP-KD, arXiv 2307.12732), contrastive relational distillation.
    """
    total = logits.new_zeros(())
    for dim in (0, 1):
        target = torch.stack([teacher.softmax(dim) for teacher in taught]).mean(0)
        total = total - (target * logits.log_softmax(dim)).sum(dim).mean()
    return total / 2


def similarity_logits(photos: Tensor, captions: Tensor, scale: Tensor) -> Tensor:
    """Return temperature times cosine, float32.

    Args:
        photos: embeddings of any length, shape (b, d).
        captions: embeddings of any length, shape (c, d).
        scale: log of the inverse temperature.

    Returns:
        Shape (b, c).
    """
    cosine = F.normalize(photos.float(), dim=-1) @ F.normalize(captions.float(), dim=-1).T
    return scale.float().exp() * cosine

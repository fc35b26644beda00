"""The losses against open_clip's, torch's cross-entropy, and a sum spelled out."""

from __future__ import annotations

import math

import open_clip
import torch
from torch import Tensor
from torch.nn import functional as F

from retrieval.training.losses import (
    Targets,
    distillation_loss,
    info_nce,
    sigmoid_loss,
    similarity_logits,
)


def one_each(count: int) -> Targets:
    match = torch.eye(count, dtype=torch.bool)
    return Targets(match, torch.zeros_like(match))


def vectors(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(0)), dim=-1)


def test_logits_are_scaled_cosines_of_vectors_of_any_length() -> None:
    photos, captions = vectors(4, 6), vectors(5, 6)
    logits = similarity_logits(photos * 3, captions * 0.1, torch.tensor(math.log(20.0)))
    torch.testing.assert_close(logits, 20.0 * photos @ captions.T)


def test_infonce_with_one_caption_each_is_clips_loss() -> None:
    photos, captions = vectors(2, 8, 6)
    want = open_clip.loss.ClipLoss()(photos, captions, torch.tensor(14.0))
    got = info_nce(14.0 * photos @ captions.T, one_each(8))
    torch.testing.assert_close(got, want)


def test_sigmoid_is_siglips_loss() -> None:
    photos, captions = vectors(2, 8, 6)
    scale, bias = torch.tensor(10.0), torch.tensor(-3.0)
    want = open_clip.loss.SigLipLoss()(photos, captions, scale, bias)
    got = sigmoid_loss(10.0 * photos @ captions.T - 3.0, one_each(8))
    torch.testing.assert_close(got, want)


def test_several_captions_of_a_photo_do_not_compete_and_the_ignored_do_not_count() -> None:
    logits = vectors(3, 5) * 4
    owner = [0, 0, 1, 2, 2]
    ignored = {(0, 3), (2, 2)}
    match = torch.tensor([[own == photo for own in owner] for photo in range(3)])
    ignore = torch.tensor([[(p, c) in ignored for c in range(5)] for p in range(3)])

    rows, columns = [], []
    for c, p in enumerate(owner):
        negatives = [n for n in range(5) if owner[n] != p and (p, n) not in ignored]
        others = [n for n in range(3) if n != p and (n, c) not in ignored]
        own = math.exp(logits[p, c])
        rows.append(-math.log(own / (own + sum(math.exp(logits[p, n]) for n in negatives))))
        columns.append(-math.log(own / (own + sum(math.exp(logits[n, c]) for n in others))))
    want = (sum(rows) / 5 + sum(columns) / 5) / 2
    got = float(info_nce(logits, Targets(match, ignore)))
    assert math.isclose(got, want, rel_tol=1e-5)


def test_a_student_that_equals_its_teacher_is_at_the_teachers_entropy() -> None:
    logits = vectors(4, 6) * 5
    entropy = sum(
        torch.distributions.Categorical(logits=view).entropy().mean() for view in (logits, logits.T)
    )
    torch.testing.assert_close(distillation_loss(logits, [logits]), entropy / 2)
    assert distillation_loss(logits.flip(0), [logits]) > entropy / 2

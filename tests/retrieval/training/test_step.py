"""Cached gradients: a batch in chunks has the gradients of the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from retrieval._enums import Loss
from retrieval.models.loaded_model import Model
from retrieval.training.distributed import World
from retrieval.training.losses import Targets
from retrieval.training.step import Chunk, Objective, backward
from tests.tiny import tiny_model


def gradients(model: Model, sizes: list[int], loss: Loss) -> tuple[float, dict[str, Tensor]]:
    """Run six photos with two captions each through the towers, in chunks of these sizes."""
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randn(6, 3, 32, 32, generator=draw)
    tokens = torch.randint(1, 10, (12, 5), generator=draw)
    owner = torch.arange(6).repeat_interleave(2)
    match = torch.arange(6)[:, None] == owner
    pieces = zip(pixels.split(sizes), tokens.split([2 * size for size in sizes]), strict=True)
    chunks = [Chunk(*piece, seed=0) for piece in pieces]
    model.module.zero_grad()
    objective = Objective(loss=loss, bias=model.module.logit_bias)
    targets = Targets(match, torch.zeros_like(match))
    value = backward(model.towers, objective, chunks, targets, World())
    found = {n: p.grad.clone() for n, p in model.module.named_parameters() if p.grad is not None}
    return value, found


@pytest.mark.parametrize("loss", list(Loss))
def test_chunks_change_nothing(loss: Loss, tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    whole, wanted = gradients(model, [6], loss)
    chunked, found = gradients(model, [2, 3, 1], loss)
    assert chunked == pytest.approx(whole, rel=1e-6)
    assert found.keys() == wanted.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name], atol=1e-5, rtol=1e-4)


def test_with_chunks_the_towers_still_get_what_autograd_gives(tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    _, found = gradients(model, [2, 4], Loss.INFONCE)
    weight, gradient = (
        model.module.visual.head.linear.weight.data,
        found["visual.head.linear.weight"],
    )
    step = 1e-2 * gradient / gradient.norm()
    weight += step
    above, _ = gradients(model, [6], Loss.INFONCE)
    weight -= 2 * step
    below, _ = gradients(model, [6], Loss.INFONCE)
    assert (above - below) / 2e-2 == pytest.approx(gradient.norm().item(), rel=0.01)

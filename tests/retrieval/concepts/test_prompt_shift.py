"""The direction of a name, and the steps that find it: against torch's autograd and its Adam."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from indexer.core.encoder import Vectors
from retrieval.concepts.adam import Adam
from retrieval.concepts.prompt_shift import FEW, RATE, STEPS, find_direction, strangers
from retrieval.models.numpy_layers import unit

TEMPERATURE = 0.05


def drawn(seed: int, *shape: int) -> Vectors:
    return unit(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def by_torch(examples: Vectors, others: Vectors, word: Vectors, near: float) -> Vectors:
    """The loss as the docstring of `find_direction` has it."""
    photos, rest, start = map(torch.from_numpy, (examples, others, word))
    move = torch.zeros_like(start, requires_grad=True)
    adam = torch.optim.Adam([move], lr=RATE)
    for _ in range(STEPS):
        vector = F.normalize(start + move, dim=0)
        own = photos @ vector
        apart = (1.0 - own).mean()
        if len(rest) >= FEW:
            rivals = torch.logsumexp(rest @ vector / TEMPERATURE, dim=0)
            scores = own / TEMPERATURE
            apart = TEMPERATURE * (torch.logaddexp(scores, rivals) - scores).mean()
        loss = apart + near * (1.0 - vector @ start)
        (move.grad,) = torch.autograd.grad(loss, [move])
        adam.step()
    return F.normalize(start + move, dim=0).detach().numpy()


@pytest.mark.parametrize(("others", "near"), [(200, 0.5), (200, 0.05), (FEW - 1, 0.5)])
def test_the_direction_is_the_one_that_torch_finds(others: int, near: float) -> None:
    examples, rest, word = drawn(0, 15, 32), drawn(1, others, 32), drawn(2, 32)
    got = find_direction(examples, rest, word, near=near)
    np.testing.assert_allclose(got, by_torch(examples, rest, word, near), atol=1e-4)
    assert float((examples @ got).mean()) > float((examples @ word).mean()) + 0.05


def test_photos_as_like_as_the_examples_are_no_strangers() -> None:
    # The examples are alike to 0.8; of ten others, one is alike to 0.9 and nine to 0.
    examples = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0]], dtype=np.float32)
    near = np.array([[0.9, 0.0, 0.19**0.5]], dtype=np.float32)
    far = np.tile(np.array([[0.0, 0.0, 1.0]], dtype=np.float32), (9, 1))
    np.testing.assert_array_equal(strangers(examples, np.concatenate([near, far])), far)
    assert strangers(examples, far[:0]).shape == (0, 3)


def test_one_example_spares_what_is_alike_to_nine_tenths() -> None:
    one = np.array([[1.0, 0.0]], dtype=np.float32)
    others = np.array([[0.95, 0.0]] + [[0.5, 0.0]] * 19, dtype=np.float32)
    assert len(strangers(one, others)) == 19


def test_steps_are_those_of_torchs_adam() -> None:
    start = np.array([1.0, -2.0, 0.5], dtype=np.float32)
    theirs = torch.from_numpy(start.copy()).requires_grad_()
    adam, ours, own = torch.optim.Adam([theirs], lr=0.1), start.copy(), Adam(start.shape)
    for step in range(20):
        adam.param_groups[0]["lr"] = rate = 0.1 / (1 + step)
        theirs.grad = theirs.detach() ** 3
        ours -= own.step(ours**3, rate)
        adam.step()
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-5)

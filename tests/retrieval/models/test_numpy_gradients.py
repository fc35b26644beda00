"""The backward passes in numpy: against torch's autograd on the same layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from retrieval.models import numpy_gradients as ours
from retrieval.models.numpy_layers import Floats

RNG = np.random.default_rng(0)
WIDE, HEADS = 12, 3


def drawn(*shape: int) -> Floats:
    numbers: Floats = RNG.normal(size=shape).astype(np.float32)
    return numbers


WEIGHTS = {
    "l.weight": drawn(7, WIDE),
    "l.bias": drawn(7),
    "n.weight": drawn(WIDE),
    "n.bias": drawn(WIDE),
    "m.fc1.weight": drawn(20, WIDE),
    "m.fc1.bias": drawn(20),
    "m.fc2.weight": drawn(5, 20),
    "m.fc2.bias": drawn(5),
}
W = {name: torch.from_numpy(weight) for name, weight in WEIGHTS.items()}
SEEN = np.array([[True, True, True, True], [True, True, False, False]])


def attended(qkv: torch.Tensor) -> torch.Tensor:
    b, n, _ = qkv.shape
    q, k, v = qkv.view(b, n, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
    mask = torch.from_numpy(SEEN)[:, None, None, :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(b, n, -1)


def bent(x: torch.Tensor) -> torch.Tensor:
    hidden = F.gelu(F.linear(x, W["m.fc1.weight"], W["m.fc1.bias"]))
    return F.linear(hidden, W["m.fc2.weight"], W["m.fc2.bias"])


LAYERS: dict[str, tuple[Callable[[Floats], tuple[Floats, ours.Back]], Callable]] = {
    "linear": (
        lambda x: ours.linear(WEIGHTS, "l", x),
        lambda x: F.linear(x, W["l.weight"], W["l.bias"]),
    ),
    "norm": (
        lambda x: ours.norm(WEIGHTS, "n", x),
        lambda x: F.layer_norm(x, (WIDE,), W["n.weight"], W["n.bias"]),
    ),
    "gelu": (ours.gelu, F.gelu),
    "mlp": (lambda x: ours.mlp(WEIGHTS, "m", x), bent),
    "softmax": (ours.softmax, lambda x: x.softmax(-1)),
    "unit": (ours.unit, lambda x: F.normalize(x, dim=-1)),
    "attention": (lambda x: ours.attention(x, HEADS, SEEN), attended),
    "added": (lambda x: ours.added(x, ours.gelu), lambda x: x + F.gelu(x)),
    "chained": (
        lambda x: ours.chained(x, ours.gelu, ours.unit),
        lambda x: F.normalize(F.gelu(x), dim=-1),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_and_its_gradient_are_torchs(name: str) -> None:
    own, theirs = LAYERS[name]
    x = drawn(2, 4, 3 * WIDE if name == "attention" else WIDE)
    x[0, 0, 0] = 0.0  # where gelu is not a quotient
    y, back = own(x)
    given = torch.from_numpy(x).requires_grad_()
    want = theirs(given)
    towards = drawn(*y.shape)
    (slope,) = torch.autograd.grad(want, given, torch.from_numpy(towards))
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(back(towards), slope.numpy(), rtol=1e-5, atol=2e-5)

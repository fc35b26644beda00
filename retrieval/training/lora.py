"""Low-rank adapters: train `W₀ + (alpha / rank) · up · down` instead of the whole matrix `W`.

The module itself is not changed. Its weights always contain the adapted matrices, so the model that
is measured and saved is the one that was trained. Any architecture works, since nothing depends on
how a matrix is used. In the backward pass, each matrix passes its gradient to its two factors and
frees it at once (`G → upᵀ G`, `G downᵀ`). So gradients, optimizer state and the data that processes
exchange are as small as the factors.

Shapes: o rows of a matrix, i its columns, r rank. A convolution's kernel (o, c, k, k) counts as
a matrix (o, c·k·k).

Source: Hu et al. 2021 (LoRA, arXiv 2106.09685).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

DOWN, UP = ":down", ":up"
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
_PACKED = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
_RAW = ("proj", "text_projection")  # open_clip's last projections are parameters of the tower


def adaptable(module: nn.Module, rank: int) -> dict[str, nn.Parameter]:
    """Return the weights that adapters are worth, by name.

    Those of linear layers, convolutions, `nn.MultiheadAttention` (its packed input projection is
    no layer of its own) and final projections; both sides must exceed `rank`. Embeddings, norms
    and biases are none.
    """
    return {
        name: weight
        for name, weight in _matrices(module)
        if min(len(weight), weight[0].numel()) > rank
    }


def _matrices(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield every matrix that maps activations to activations."""
    for prefix, layer in module.named_modules():
        wanted: tuple[str, ...] = _RAW
        if isinstance(layer, _LAYERS):
            wanted = ("weight",)
        elif isinstance(layer, nn.MultiheadAttention):
            wanted = _PACKED
        for name, parameter in layer.named_parameters(prefix, recurse=False):
            if name.rpartition(".")[2] in wanted and parameter.ndim > 1:
                yield name, parameter


class Adapters:
    """The low-rank factors of some weights of a module.

    Args:
        weights: the weights to adapt, by name; from now on they hold `W₀ + scale · up · down`.
        rank: columns of `up`.
        alpha: strength; the product is scaled by `alpha / rank`.
        seed: of the random `down`; `up` starts at zero, so the model starts unchanged.
    """

    def __init__(
        self, weights: Mapping[str, nn.Parameter], rank: int, alpha: float, seed: int
    ) -> None:
        self._weights = dict(weights)
        self._base = {n: w.detach().float().clone() for n, w in self._weights.items()}
        self._scale = alpha / rank
        draw = torch.Generator().manual_seed(seed)
        self.factors: dict[str, nn.Parameter] = {}
        for name, weight in self._weights.items():
            rows, columns = len(weight), weight[0].numel()
            bound = 1.0 / math.sqrt(columns)
            down = (2.0 * torch.rand(rank, columns, generator=draw) - 1.0) * bound  # (r, i)
            self.factors[name + DOWN] = nn.Parameter(down.to(weight.device))
            self.factors[name + UP] = nn.Parameter(weight.new_zeros(rows, rank).float())  # (o, r)
            self._listen(name, weight)

    def __len__(self) -> int:
        """Count the adapted weights."""
        return len(self._weights)

    def _listen(self, name: str, weight: nn.Parameter) -> None:
        """Have the gradient of a weight passed on whenever it is complete."""
        weight.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
            lambda each: self._pass_on(name, each)
        )

    def _pass_on(self, name: str, weight: Tensor) -> None:
        """Turn the gradient of a weight into those of its factors, and drop it."""
        assert weight.grad is not None
        gradient = weight.grad.flatten(1).float() * self._scale  # (o, i)
        weight.grad = None
        down, up = self.factors[name + DOWN], self.factors[name + UP]
        for factor, part in ((down, up.detach().T @ gradient), (up, gradient @ down.detach().T)):
            factor.grad = part if factor.grad is None else factor.grad + part

    def merged(self, factors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the adapted weights that these factors make, float32, by name."""
        return {
            name: base + self._scale * (factors[name + UP] @ factors[name + DOWN]).view_as(base)
            for name, base in self._base.items()
        }

    @torch.no_grad()
    def write(self) -> None:
        """Bring the weights of the module after their factors, one at a time."""
        for name, weight in self._weights.items():
            product = self.factors[name + UP] @ self.factors[name + DOWN]
            weight.copy_(self._base[name] + self._scale * product.view_as(weight))


def freeze_all_but_adapted(module: nn.Module, rank: int, heads: bool) -> dict[str, nn.Parameter]:
    """Freeze a module except for what LoRA trains, and return the weights to adapt.

    The logit scale and bias stay trainable; so do the built-in architecture's projection heads
    in full, if `heads`.
    """
    adapted = adaptable(module, rank)
    for name, parameter in module.named_parameters():
        whole = name.startswith("logit_") or (heads and ".head." in name)
        if whole:
            adapted.pop(name, None)
        parameter.requires_grad_(whole or name in adapted)
    return adapted

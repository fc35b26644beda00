"""One contrastive step over a global batch of any size, with cached gradients.

The towers run over chunks, the loss over all embeddings at once, and each chunk then receives
the gradient of the loss with respect to its own embeddings. With one chunk the graph of the first
pass is kept; with more, each chunk runs forward a second time, so that only one chunk's
activations are alive. The result is the same.

Source: Gao et al. 2021 (GradCache, arXiv 2101.06983).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from retrieval._enums import Loss
from retrieval.models.loaded_model import Towers
from retrieval.training.distributed import World
from retrieval.training.losses import (
    Targets,
    distillation_loss,
    info_nce,
    sigmoid_loss,
    similarity_logits,
)


@dataclass(frozen=True)
class Chunk:
    """Some photos and their captions, on the device, and the seed of their randomness."""

    pixels: Tensor
    tokens: Tensor
    seed: int


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is minimised: a contrastive loss, and agreement with teachers if there are any.

    `bias` is the learned bias of the sigmoid loss.
    """

    loss: Loss
    bias: Tensor
    teachers: Sequence[Towers] = ()
    teaching: float = 1.0

    def __call__(self, logits: Tensor, targets: Targets, taught: Sequence[Tensor]) -> Tensor:
        """Return the loss of one global batch from its logits (b, c) and the teachers'."""
        if self.loss == Loss.SIGMOID:
            value = sigmoid_loss(logits + self.bias.float(), targets)
        else:
            value = info_nce(logits, targets)
        return value + self.teaching * distillation_loss(logits, taught) if taught else value


def backward(
    towers: Towers,
    objective: Objective,
    chunks: Sequence[Chunk],
    targets: Targets,
    world: World,
) -> float:
    """Add the gradients of one global batch to the towers' parameters; return the loss.

    The gradient of the temperature and bias is complete in every process; that of the towers is
    this process's share, to be summed over the processes.
    """
    once = len(chunks) == 1
    with torch.set_grad_enabled(once):
        embedded = [_embed(towers, chunk) for chunk in chunks]
    with torch.no_grad():
        taught = [_logits(teacher, chunks, world) for teacher in objective.teachers]
    photos = _leaf([photo for photo, _ in embedded], world)
    captions = _leaf([caption for _, caption in embedded], world)
    logits = similarity_logits(photos, captions, towers.logit_scale)
    value = objective(logits, targets, taught)
    value.backward()  # type: ignore[no-untyped-call]
    shares = zip(
        chunks,
        embedded,
        _split(photos, [len(photo) for photo, _ in embedded], world),
        _split(captions, [len(caption) for _, caption in embedded], world),
        strict=True,
    )
    for chunk, first, photo_gradient, caption_gradient in shares:
        outputs = first if once else _embed(towers, chunk)
        gradients = (photo_gradient, caption_gradient)
        torch.autograd.backward(
            outputs, [g.to(o.dtype) for g, o in zip(gradients, outputs, strict=True)]
        )
    return float(value.detach())


def _logits(teacher: Towers, chunks: Sequence[Chunk], world: World) -> Tensor:
    """Return a teacher's logits for the global batch. Shape (b, c)."""
    embedded = [_embed(teacher, chunk) for chunk in chunks]
    photos = world.gather(torch.cat([photo for photo, _ in embedded]).float())
    captions = world.gather(torch.cat([caption for _, caption in embedded]).float())
    return similarity_logits(photos, captions, teacher.logit_scale)


def _embed(towers: Towers, chunk: Chunk) -> tuple[Tensor, Tensor]:
    """Run both towers over a chunk, with the chunk's own randomness."""
    torch.manual_seed(chunk.seed)
    return towers.encode_image(chunk.pixels), towers.encode_text(chunk.tokens)


def _leaf(parts: list[Tensor], world: World) -> Tensor:
    """Join all chunks of all processes into a float32 leaf that gathers a gradient."""
    local = torch.cat([part.detach() for part in parts])
    return world.gather(local.float()).requires_grad_()


def _split(leaf: Tensor, sizes: list[int], world: World) -> list[Tensor]:
    """Cut this process's share of a leaf's gradient into its chunks."""
    assert leaf.grad is not None
    local = leaf.grad[world.share(len(leaf))]
    return list(torch.split(local, sizes))

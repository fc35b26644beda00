"""Random crops, flips and colours, for a whole batch at once and on any device.

Random numbers are drawn on the CPU for the global batch from (seed, step). So a run repeats,
resumes and splits over processes without change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from retrieval.training.config import AugmentConfig


@dataclass(frozen=True)
class Draw:
    """Random numbers in [0, 1), one row a photo. Shape (photos, 9)."""

    numbers: Tensor

    @classmethod
    def of(cls, photos: int, seed: int) -> Draw:
        """Draw for a global batch."""
        return cls(torch.rand(photos, 9, generator=torch.Generator().manual_seed(seed)))

    def __getitem__(self, rows: slice) -> Draw:
        """Return the draws of some photos."""
        return Draw(self.numbers[rows])


def augment(canvas: Tensor, draw: Draw, size: int, config: AugmentConfig) -> Tensor:
    """Crop, flip and colour photos.

    Args:
        canvas: uint8, shape (b, 3, s, s).
        draw: the random numbers, shape (b, 9).
        size: pixels a side of the result.
        config: how strongly.

    Returns:
        float32 in [0, 255], shape (b, 3, size, size).
    """
    numbers = draw.numbers.to(canvas.device)
    cropped = _crop(canvas.float(), numbers[:, :5], size, config)
    return _colour(cropped, numbers[:, 5:], config).clamp(0.0, 255.0)


def _crop(photos: Tensor, draw: Tensor, size: int, config: AugmentConfig) -> Tensor:
    """Cut a random box out of each photo, perhaps mirrored, and scale it to the square."""
    area = config.crop + (1.0 - config.crop) * draw[:, 0]
    stretch = torch.exp((2.0 * draw[:, 1] - 1.0) * math.log(config.ratio))
    wide = (area * stretch).sqrt().clamp(max=1.0)
    high = (area / stretch).sqrt().clamp(max=1.0)
    left = (2.0 * draw[:, 2] - 1.0) * (1.0 - wide)
    top = (2.0 * draw[:, 3] - 1.0) * (1.0 - high)
    wide = torch.where(draw[:, 4] < config.flip, -wide, wide)
    zero = torch.zeros_like(wide)
    rows = [torch.stack([wide, zero, left], dim=1), torch.stack([zero, high, top], dim=1)]
    grid = F.affine_grid(
        torch.stack(rows, dim=1), [len(photos), 3, size, size], align_corners=False
    )
    return F.grid_sample(photos, grid, align_corners=False, padding_mode="reflection")


def _colour(photos: Tensor, draw: Tensor, config: AugmentConfig) -> Tensor:
    """Vary brightness, contrast and saturation; now and then take the colour away."""
    factor = (1.0 + config.colour * (2.0 * draw[:, :3] - 1.0))[:, :, None, None]  # (b, 3, 1, 1)
    grey = photos.mean(dim=1, keepdim=True)
    saturation = torch.where(draw[:, 3, None, None, None] < config.grey, 0.0, factor[:, 0:1])
    photos = grey + (photos - grey) * saturation
    mean = grey.mean(dim=(2, 3), keepdim=True)
    return (mean + (photos - mean) * factor[:, 1:2]) * factor[:, 2:3]

"""How a photo becomes the pixels that an image tower reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from PIL import Image
from torch import Tensor


class Resize(StrEnum):
    """What happens to a photo that is not square."""

    SQUASH = "squash"  # the whole photo, its sides scaled to the square
    SHORTEST = "shortest"  # shorter side scaled to the square, the middle cut out
    LONGEST = "longest"  # longer side scaled to the square, the rest padded black


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """Size, resizing and normalisation of an image tower's input."""

    size: int = 224
    resize: Resize = Resize.SQUASH
    interpolation: str = "bicubic"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def canvas(self, image: Image.Image, size: int) -> Tensor:
        """Resize an RGB photo to a square. Returns uint8, shape (3, size, size)."""
        filters = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
        resample = filters[self.interpolation]
        if self.resize == Resize.SQUASH:
            square = image.resize((size, size), resample)
        else:
            cut = self.resize == Resize.SHORTEST
            base, whole = (min, int) if cut else (max, round)  # rounded as in open_clip
            sides = [max(1, whole(size * side / base(image.size))) for side in image.size]
            square = _center(image.resize((sides[0], sides[1]), resample), size)
        return torch.from_numpy(np.array(square)).permute(2, 0, 1)

    def normalize(self, pixels: Tensor) -> Tensor:
        """Scale uint8 (…, 3, h, w) to zero mean and unit deviation, float32."""
        mean = torch.tensor(self.mean, device=pixels.device).view(3, 1, 1)
        std = torch.tensor(self.std, device=pixels.device).view(3, 1, 1)
        return (pixels.float() / 255.0 - mean) / std

    def __call__(self, image: Image.Image) -> Tensor:
        """Return the pixels a tower reads at inference. float32, shape (3, size, size)."""
        return self.normalize(self.canvas(image, self.size))


def _center(image: Image.Image, size: int) -> Image.Image:
    """Cut out (or pad to) the middle square."""
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))

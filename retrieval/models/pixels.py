"""Square photos as tensors, for augmentation and for an image tower."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor

from retrieval.models.preprocess import ImageSpec


def canvas(spec: ImageSpec, image: Image.Image, size: int) -> Tensor:
    """Resize an RGB photo to a square. uint8, shape (3, size, size)."""
    return torch.from_numpy(replace(spec, size=size).pixels(image)).permute(2, 0, 1)


def normalize(spec: ImageSpec, pixels: Tensor) -> Tensor:
    """Scale uint8 (…, 3, h, w) to zero mean and unit deviation, float32."""
    mean = torch.tensor(spec.mean, device=pixels.device).view(3, 1, 1)
    std = torch.tensor(spec.std, device=pixels.device).view(3, 1, 1)
    return (pixels.float() / 255.0 - mean) / std


@dataclass(frozen=True)
class Preprocess:
    """One RGB photo → the pixels that a tower reads at inference."""

    spec: ImageSpec

    def __call__(self, image: Image.Image) -> Tensor:
        """Return float32 pixels, shape (3, size, size)."""
        return normalize(self.spec, canvas(self.spec, image, self.spec.size))

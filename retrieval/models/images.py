"""How a photo becomes the square that an image tower reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


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

    def square(self, image: Image.Image, size: int) -> NDArray[np.uint8]:
        """Resize an RGB photo to a square. Shape (size, size, 3)."""
        filters = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
        resample = filters[self.interpolation]
        if self.resize == Resize.SQUASH:
            return np.array(image.resize((size, size), resample))
        cut = self.resize == Resize.SHORTEST
        base, whole = (min, int) if cut else (max, round)  # rounded as in open_clip
        sides = [max(1, whole(size * side / base(image.size))) for side in image.size]
        return np.array(_center(image.resize((sides[0], sides[1]), resample), size))


def image_spec(plain: dict[str, Any]) -> ImageSpec:
    """Rebuild an `ImageSpec` from its JSON form."""
    resize, mean, std = Resize(plain["resize"]), tuple(plain["mean"]), tuple(plain["std"])
    return ImageSpec(**{**plain, "resize": resize, "mean": mean, "std": std})


def _center(image: Image.Image, size: int) -> Image.Image:
    """Cut out (or pad to) the middle square."""
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))

"""Turn a photo into the pixels that an image tower reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.core.resize import ImageInputSpec, Resize


@dataclass(frozen=True, kw_only=True)
class ImageSpec(ImageInputSpec):
    """Size, resizing and normalisation of an image tower's input."""

    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize an RGB photo to the square. Shape (size, size, 3)."""
        return np.array(self.cut(image))


def image_spec(plain: dict[str, Any]) -> ImageSpec:
    """Rebuild an `ImageSpec` from its JSON form."""
    resize, mean, std = Resize(plain["resize"]), tuple(plain["mean"]), tuple(plain["std"])
    return ImageSpec(**{**plain, "resize": resize, "mean": mean, "std": std})

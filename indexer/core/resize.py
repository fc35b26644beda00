"""Resize a photo to the square input of an image tower."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PIL import Image


class Resize(StrEnum):
    """What happens to a photo that is not square."""

    SQUASH = "squash"  # the whole photo, its sides scaled to the square
    SHORTEST = "shortest"  # shorter side scaled to the square, the middle cut out
    LONGEST = "longest"  # longer side scaled to the square, the rest padded black


@dataclass(frozen=True, kw_only=True)
class ImageInputSpec:
    """Size and resizing of an image tower's input. What is such a square already stays as it is."""

    size: int = 224
    resize: Resize = Resize.SQUASH
    interpolation: str = "bicubic"

    def cut(self, image: Image.Image) -> Image.Image:
        """Resize an RGB photo to the square."""
        filters = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
        resample = filters[self.interpolation]
        if self.resize == Resize.SQUASH:
            return image.resize((self.size, self.size), resample)
        cut = self.resize == Resize.SHORTEST
        base, whole = (min, int) if cut else (max, round)  # rounded as in open_clip
        sides = [max(1, whole(self.size * side / base(image.size))) for side in image.size]
        return _center(image.resize((sides[0], sides[1]), resample), self.size)


def _center(image: Image.Image, size: int) -> Image.Image:
    """Cut out (or pad to) the middle square."""
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))

"""Compare two pictures: as a whole, and in each of their tiles.

    small pictures -> correlation, crop -> larger pictures, aligned -> the tile that differs most

Small pictures show at little cost which photos cannot be copies. But they cannot distinguish two
screenshots of one app, two pages of one letter, or two shots of a burst, which differ only in
details. So pictures that correlate are compared again, at a size at which letters can be
distinguished, in tiles of 8 by 8 pixels. One tile that differs is enough to reject a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ALIKE = 0.9
"""Correlation from which two small pictures may be copies of one shot."""

AGREE = 0.55
"""Agreement that each tile of two copies has; see benchmarks/README.md."""

SIDES = (256, 1024)
"""Pixels of the longer side at which tiles are compared: the cheap size rejects most."""

_SIDE = 32  # pixels a side of a small picture
_CROPS = tuple(1 - 0.02 * step for step in range(9))  # of a side, about the middle
_TILE = 8  # pixels a side
_QUARTER, _HALF = np.float32(0.25), np.float32(0.5)  # of a pixel's neighbours and itself
_NOISE = 6.0  # grey levels from pixel to pixel that compression and a sensor make
_SMALLER = 0.8  # of the smaller picture's size: it evens out how the two were resized
_LEAST = 8  # pixels a side that are compared
_FITTED = 0.99  # correlation from which two pictures need no better fit
_OFF = 0.002  # of a side: how far from the middle a crop may lie, which is what rounding makes
_TURNS = 3  # at most, of trying each side of a fit with one step
_FIT_SIDE = 512  # pixels of the longer side at which a fit is sought
_DARKEST, _BRIGHTEST = 5.0, 250.0  # grey levels that are not cut off
_STEEPEST, _BRIGHTER = 2.0, 80.0  # a map of grey levels: its slope, and what it adds to middle grey
_RARE = 0.001  # of all pixels; fewer say nothing

Picture: TypeAlias = NDArray[np.uint8]
"""A photo to compare, grey and small, in several crops. Shape (crops, 32, 32)."""

Grey: TypeAlias = NDArray[np.float32]
"""Grey levels, 0 to 255. Shape (height, width)."""


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """The part of the second picture that the first one shows.

    Attributes:
        width: share of its width.
        height: share of its height.
        right: of its width, how far the part lies from the middle.
        down: of its height.
    """

    width: float = 1.0
    height: float = 1.0
    right: float = 0.0
    down: float = 0.0

    def box(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of the part in pixels."""
        left = min(max(0.0, (1 - self.width) / 2 + self.right), 1 - self.width)
        top = min(max(0.0, (1 - self.height) / 2 + self.down), 1 - self.height)
        across, down = size
        return left * across, top * down, (left + self.width) * across, (top + self.height) * down


def picture(photo: Image.Image) -> Picture:
    """Return a photo as a small grey picture, whole and cropped about the middle."""
    crops = [_cropped(photo, share).convert("L") for share in _CROPS]
    small = [crop.resize((_SIDE, _SIDE), Image.Resampling.BOX) for crop in crops]
    return np.stack([np.asarray(each) for each in small])


def likeness(one: Picture, other: Picture) -> float:
    """Return the correlation of two pictures, either of them as a crop of the other: -1 to 1."""
    return _best_crop(one, other)[0]


def agreement(
    one: Picture, other: Picture, details: Callable[[int], tuple[Image.Image, Image.Image]]
) -> float:
    """Return how far the tile agrees that agrees least: 1 for equal pictures, 0 or less for others.

    Sizes are compared one after the other, the cheapest first. Below `AGREE` the rest is left out.

    Args:
        one: the first picture, small.
        other: the second one.
        details: gives both as grey pictures, for a number of pixels of the longer side.
    """
    _, share, first_is_larger = _best_crop(one, other)
    fit, least = Alignment(width=share, height=share), 1.0
    for side in SIDES:
        part, whole = details(side)[:: -1 if first_is_larger else 1]
        value, fit = _agreement(part, whole, fit, side)
        least = min(least, value)
        if least < AGREE:
            break
    return least


def _best_crop(one: Picture, other: Picture) -> tuple[float, float, bool]:
    """Return the best correlation, the share of its crop, and whether the first was cropped."""
    a, b = _steps(one), _steps(other)
    of_other, of_one = b @ a[0], a @ b[0]
    cropped = of_one if of_one.max() > of_other.max() else of_other
    best = int(cropped.argmax())
    return float(cropped[best]), _CROPS[best], cropped is of_one


def _steps(crops: Picture) -> NDArray[np.float32]:
    """Return the steps between neighbouring pixels as unit rows. Shape (crops, 1984)."""
    grey = crops.astype(np.float32)
    across, down = np.diff(grey, axis=2), np.diff(grey, axis=1)
    steps = np.concatenate([each.reshape(len(crops), -1) for each in (across, down)], axis=1)
    steps -= steps.mean(axis=1, keepdims=True)
    unit: NDArray[np.float32] = steps / (np.linalg.norm(steps, axis=1, keepdims=True) + 1e-6)
    return unit


def _cropped(photo: Image.Image, share: float) -> Image.Image:
    """Cut the middle out of a photo: a share of its width and height."""
    width, height = max(1, int(photo.width * share)), max(1, int(photo.height * share))
    left, top = (photo.width - width) // 2, (photo.height - height) // 2
    return photo.crop((left, top, left + width, top + height))


def _agreement(
    part: Image.Image, whole: Image.Image, fit: Alignment, side: int
) -> tuple[float, Alignment]:
    """Return the least agreement of a picture and a part of another, and the part that fits."""
    width, height = (
        min(part.width, whole.width * fit.width),
        min(part.height, whole.height * fit.height),
    )
    shrink = min(_SMALLER, side / max(width, height))
    size = (max(_LEAST, round(width * shrink)), max(_LEAST, round(height * shrink)))
    value = _least(part, whole, fit, size)
    if value < AGREE or fit.width < 1:  # a crop is known to 2 % at first
        fit = _fitted(part, whole, fit, size)
        value = _least(part, whole, fit, size)
    return value, fit


def _least(part: Image.Image, whole: Image.Image, fit: Alignment, size: tuple[int, int]) -> float:
    """Return how far the tile agrees that agrees least, at a size in pixels."""
    first, second = _sized(part, size, Alignment()), _sized(whole, size, fit)
    # Brightness may be cut off in one of them, and is mapped from the other one only.
    there, back = _tiles(_toned(first, second), second), _tiles(first, _toned(second, first))
    return float(max(there.min(), back.min()))


def _sized(image: Image.Image, size: tuple[int, int], fit: Alignment) -> Grey:
    """Resize a part of a grey picture, and blur it by a pixel, which evens out compression."""
    box = fit.box(image.size)
    grey = np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=box), np.float32)
    grey = np.pad(grey, 1, mode="edge")
    grey = _QUARTER * grey[:-2] + _HALF * grey[1:-1] + _QUARTER * grey[2:]
    blurred: Grey = _QUARTER * grey[:, :-2] + _HALF * grey[:, 1:-1] + _QUARTER * grey[:, 2:]
    return blurred


def _fitted(
    part: Image.Image, whole: Image.Image, fit: Alignment, size: tuple[int, int]
) -> Alignment:
    """Return the part of a picture that correlates most with another, near the one given."""
    shrink = min(1.0, _FIT_SIDE / max(size))
    size = (max(_LEAST, round(size[0] * shrink)), max(_LEAST, round(size[1] * shrink)))
    first = _sized(part, size, Alignment())
    best = _correlation(first, _sized(whole, size, fit))
    step = 1.5 / max(size)
    while step > 0.3 / max(size) and best < _FITTED:
        for _ in range(_TURNS):
            before = best
            for tried in _moved(fit, step):
                value = _correlation(first, _sized(whole, size, tried))
                if value > best:
                    best, fit = value, tried
            if best == before:
                break
        step /= 2
    return fit


def _moved(fit: Alignment, step: float) -> Iterator[Alignment]:
    """Yield what lies one step from a fit, in each direction."""
    for change in (step, -step):
        yield replace(fit, width=min(1.0, fit.width + change))
        yield replace(fit, height=min(1.0, fit.height + change))
        yield replace(fit, right=max(-_OFF, min(_OFF, fit.right + change)))
        yield replace(fit, down=max(-_OFF, min(_OFF, fit.down + change)))


def _correlation(one: Grey, other: Grey) -> float:
    """Return the correlation of the steps from pixel to pixel."""
    a, b = (np.concatenate([each.ravel() for each in _gradients(grey)]) for grey in (one, other))
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-6))


def _gradients(grey: Grey) -> tuple[Grey, Grey]:
    """Return the steps down and across, 0 at the last row and column. Shape (height, width)."""
    down = np.diff(grey, axis=0, append=grey[-1:])
    return down, np.diff(grey, axis=1, append=grey[:, -1:])


def _toned(grey: Grey, target: Grey) -> Grey:
    """Map the grey levels of a picture to those of another: brighter, more contrast, cut off.

    The map is a straight line, fitted where the other one is not cut off at black or white. A free
    curve would map words that the other one lacks to paper.
    """
    there = (target > _DARKEST) & (target < _BRIGHTEST)
    if there.sum() < _RARE * grey.size:
        return grey
    x, y = grey[there], target[there]
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / (((x - x.mean()) ** 2).sum() + 1e-6))
    offset = float(y.mean() - slope * x.mean())
    if not 1 / _STEEPEST <= slope <= _STEEPEST or abs(slope * 128 + offset - 128) > _BRIGHTER:
        return grey
    return (slope * grey + offset).clip(0.0, 255.0)


def _tiles(one: Grey, other: Grey) -> NDArray[np.float32]:
    """Return how far each tile agrees, down or across, whichever is less. Shape (rows, columns).

    Of the steps a and b of a tile of n pixels: (2 ab + noise² n) / (aa + bb + noise² n). It is 1
    where they are equal or no more than noise, 0 where they have nothing in common.
    """
    down, across = (
        _agreeing(a, b) for a, b in zip(_gradients(one), _gradients(other), strict=True)
    )
    return np.minimum(down, across)


def _agreeing(a: Grey, b: Grey) -> Grey:
    """Return how far the steps of each tile agree. Shape (rows, columns)."""
    noise = _NOISE**2 * _summed(np.ones_like(a))
    agrees = (2 * _summed(a * b) + noise) / (_summed(a * a) + _summed(b * b) + noise)
    return agrees.astype(np.float32)


def _summed(values: Grey) -> Grey:
    """Sum the values of each tile. Shape (rows, columns)."""
    starts = [
        np.linspace(0, side, max(1, side // _TILE), endpoint=False).astype(np.int64)
        for side in values.shape
    ]
    summed: Grey = np.add.reduceat(np.add.reduceat(values, starts[0], 0), starts[1], 1)
    return summed

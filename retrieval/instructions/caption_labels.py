"""Label photos with attributes, from their captions and their pixels.

Several people described each photo. An attribute is present if two of them mention it, absent if
nobody does, and unknown if only one does. Names alone ("dragonfly") say nothing about what is
absent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrieval.instructions.templates import LOOK, Attribute

Labels = NDArray[np.int8]
"""1 where a photo has an attribute, -1 where it lacks it, 0 where that is open."""

SEVERAL = 2
"""Captions that must say an attribute before it is believed; of a single caption, that one."""

SENTENCE = 4  # words from which on a caption describes a photo
_GREY, _PALE = 0.04, 0.10  # mean saturation below and above which a photo is, or is not, grey
_DARK, _BRIGHT = (0.25, 0.35), (0.62, 0.52)  # mean luminance: surely so, surely not so
_COLOURFUL = (70.0, 45.0)  # Hasler and Süsstrunk's measure: "highly colourful", "moderately"


def label_captions(captions: Sequence[Sequence[str]], attribute: Attribute) -> Labels:
    """Label photos with an attribute by the words of their captions. Shape (photos,)."""
    said = re.compile(r"\b(" + "|".join(map(re.escape, attribute.words)) + r")\b", re.IGNORECASE)
    return np.array([_verdict(said, texts) for texts in captions], dtype=np.int8)


def _verdict(said: re.Pattern[str], texts: Sequence[str]) -> int:
    """Label one photo by its captions."""
    count = sum(bool(said.search(text)) for text in texts)
    if count >= min(SEVERAL, len(texts)):
        return 1
    described = any(len(text.split()) >= SENTENCE for text in texts)
    return -1 if described and not count else 0


def label(
    attributes: Sequence[Attribute],
    captions: Sequence[Sequence[str]],
    looks: Sequence[dict[str, int]],
) -> Labels:
    """Label photos with all attributes. Shape (attributes, photos).

    Args:
        attributes: what to tell.
        captions: of each photo.
        looks: of each photo, as `looks_of` tells them.
    """
    rows = [
        np.array([look[each.phrase] for look in looks], dtype=np.int8)
        if each.family == LOOK
        else label_captions(captions, each)
        for each in attributes
    ]
    return np.stack(rows)


def looks_of(photo: Image.Image) -> dict[str, int]:
    """Label the style attributes of a photo: 1, -1, or 0 for neither."""
    small = photo.convert("RGB").resize((64, 64), Image.Resampling.BOX)
    rgb = np.asarray(small, dtype=np.float64)  # (64, 64, 3), 0 to 255
    light = float((rgb @ np.array([0.2126, 0.7152, 0.0722])).mean()) / 255.0
    return {
        "black and white": _above(-_saturation(rgb), yes=-_GREY, no=-_PALE),
        "dark": _above(-light, yes=-_DARK[0], no=-_DARK[1]),
        "bright": _above(light, yes=_BRIGHT[0], no=_BRIGHT[1]),
        "colourful": _above(_colourfulness(rgb), yes=_COLOURFUL[0], no=_COLOURFUL[1]),
    }


def _above(value: float, *, yes: float, no: float) -> int:
    """Return 1 from `yes` on, -1 up to `no`, 0 between."""
    return 1 if value >= yes else -1 if value <= no else 0


def _saturation(rgb: NDArray[np.float64]) -> float:
    """Return the mean chroma, 0 for grey to 1."""
    return float((rgb.max(axis=2) - rgb.min(axis=2)).mean()) / 255.0


def _colourfulness(rgb: NDArray[np.float64]) -> float:
    """Return how colourful a photo is: 0 for grey, above 60 for highly colourful.

    Source: Hasler and Süsstrunk 2003, Measuring colourfulness in natural images.
    """
    red, green, blue = np.moveaxis(rgb, 2, 0)
    difference, yellow = red - green, (red + green) / 2.0 - blue
    spread = np.hypot(difference.std(), yellow.std())
    shift = np.hypot(difference.mean(), yellow.mean())
    return float(spread + 0.3 * shift)

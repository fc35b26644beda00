"""Photos and texts by which two forms of a tower are compared."""

from __future__ import annotations

import numpy as np
from PIL import Image

TEXTS = ("a dog", "two people are walking along a beach at sunset, seen from far away")


def probe_photos(size: int) -> list[Image.Image]:
    """Draw photos of `size` pixels a side: smooth colours, edges and noise."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 1, size))
    waves = [np.sin(2 * np.pi * (rng.uniform(0.5, 6) * x + rng.uniform(0.5, 6) * y)) for _ in "rgb"]
    smooth = np.stack(waves, axis=-1) * 127 + 128
    edges = np.where(smooth > 128, 230.0, 20.0)
    noisy = smooth * 0.7 + rng.uniform(0, 76, smooth.shape)
    drawn = [np.clip(each, 0, 255).astype(np.uint8) for each in (smooth, edges, noisy)]
    return [Image.fromarray(each) for each in drawn]

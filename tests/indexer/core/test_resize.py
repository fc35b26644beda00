"""A square is cut the same once and twice. That it is open_clip's: `models/test_images.py`."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from indexer.core.resize import ImageInputSpec, Resize


@pytest.mark.parametrize("resize", list(Resize))
@pytest.mark.parametrize("size", [(50, 31), (31, 50), (24, 24), (7, 90)])
def test_what_is_cut_stays_as_it_is(resize: Resize, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    square = ImageInputSpec(size=24, resize=resize)
    once = square.cut(Image.fromarray(noise))
    assert once.size == (24, 24)
    np.testing.assert_array_equal(np.asarray(square.cut(once)), np.asarray(once))

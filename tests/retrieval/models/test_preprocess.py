"""Preprocessing against open_clip's own transforms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from indexer.core.resize import Resize
from retrieval.models.pixels import Preprocess
from retrieval.models.preprocess import ImageSpec

SIZES = [(320, 200), (200, 321), (97, 640), (64, 64)]


@pytest.mark.parametrize("resize", list(Resize))
@pytest.mark.parametrize("size", SIZES)
def test_pixels_equal_open_clips(resize: Resize, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    photo = Image.fromarray(noise)
    spec = ImageSpec(size=64, resize=resize)
    config = PreprocessCfg(
        size=64, mean=spec.mean, std=spec.std, resize_mode=str(resize), interpolation="bicubic"
    )
    want = image_transform_v2(config, is_train=False)(photo)
    torch.testing.assert_close(Preprocess(spec)(photo), want)

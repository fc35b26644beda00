"""Pairs of ONNX files give the vectors of open_clip, whatever cuts their texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from skimage import data as samples

from retrieval import quick_encoder
from retrieval.runtime.graph_encoder import EngineEncoder
from tests.onnx_pairs import Exported, clip_pair, rclip_pair, siglip_pair, xlm_pair

TEXTS = (
    *("a dog", "Two people, walking along the SEA!", "", "it's a_red car &amp; snow"),
    *("eine Katze schläft", "雪の中の赤い車", "a dog runs on the beach " * 30),
)


@pytest.fixture(scope="module", params=[clip_pair, rclip_pair, siglip_pair, xlm_pair])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    make: Callable[[Path], Exported] = request.param
    return make(tmp_path_factory.mktemp("onnx") / "model")


@pytest.fixture(scope="module")
def encoder(exported: Exported) -> EngineEncoder:
    made = quick_encoder(str(exported.folder))
    assert isinstance(made, EngineEncoder)
    return made


def test_texts(exported: Exported, encoder: EngineEncoder) -> None:
    cosines = (encoder.encode_texts(TEXTS) * exported.texts(TEXTS)).sum(axis=1)
    assert cosines.min() >= 0.999


def test_photos(exported: Exported, encoder: EngineEncoder) -> None:
    names = ("astronaut", "chelsea", "coffee", "rocket", "brick")
    photos = [Image.fromarray(getattr(samples, name)()).convert("RGB") for name in names]
    cosines = (encoder.encode_images(photos) * exported.images(photos)).sum(axis=1)
    assert cosines.min() >= 0.999
    assert encoder.dim == 32

"""The reranker without torch, against the same with torch: signs, scores, and what feeds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as samples

from retrieval import load_encoder, load_reranker, quick_encoder
from retrieval._resources import resource
from retrieval.builtin_reranker.polarity_classifier import PolarityClassifier
from retrieval.builtin_reranker.polarity_config import PolarityConfig
from retrieval.builtin_reranker.polarity_reader import PolarityReader
from retrieval.builtin_reranker.reranker_checkpoint import load_reranker_checkpoint
from retrieval.builtin_reranker.text_features import InstructionEncoder, InstructionFeatures
from retrieval.models.dual_encoder import DualEncoderConfig
from tests.retrieval.builtin_reranker.test_shipped_polarity import ASKS, FORBIDS, NEITHER
from tests.tiny import CODED, CONFIG, tiny_model

WISHES = [*ASKS, *FORBIDS, *NEITHER]


def both(spec: str) -> Sequence[InstructionEncoder]:
    encoders = quick_encoder(spec, "cpu"), load_encoder(spec, "cpu")
    assert all(isinstance(each, InstructionEncoder) for each in encoders)
    return encoders


def test_signs_are_those_of_torch() -> None:
    learned = load_reranker_checkpoint(resource("reranker")).signs
    states, seen = InstructionFeatures(load_encoder("builtin", "cpu"), 2).early(WISHES)
    ours = PolarityReader(learned.config, learned.weights())(states, seen)
    with torch.inference_mode():
        theirs = PolarityClassifier.of(learned).eval()(*map(torch.from_numpy, (states, seen)))
    np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-5)


def test_instructions_are_read_as_by_torch() -> None:
    quick, torchs = both("builtin")
    for ours, theirs in zip(quick.read_early(WISHES, 2), torchs.read_early(WISHES, 2), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
    for text in ("no dogs", "no " + "dogs and " * 40):
        assert quick.fills(text) == torchs.fills(text)


@pytest.mark.parametrize("config", [CONFIG, CODED])
def test_tokens_are_embedded_as_by_torch(tmp_path: Path, config: DualEncoderConfig) -> None:
    tiny_model(tmp_path, config=config)
    tokens = np.random.default_rng(0).normal(size=(7, 5, config.image.width)).astype(np.float32)
    quick, torchs = both(str(tmp_path))
    np.testing.assert_allclose(quick.embed_tokens(tokens), torchs.embed_tokens(tokens), atol=1e-5)


def test_scores_are_those_of_torch() -> None:
    names = ("astronaut", "chelsea", "coffee", "rocket", "brick")
    photos = [Image.fromarray(getattr(samples, name)()).convert("RGB") for name in names]
    asked = [("a photo", wish) for wish in ("no cats", "with a cup", "only black and white")] * 5
    scores = []
    for encoder in both("builtin"):
        reranker = load_reranker("builtin", encoder)
        sights = [sight for sight in reranker.look(photos) for _ in range(3)]
        scores.append(reranker.score(asked, sights))
    ours, theirs = scores
    assert np.corrcoef(ours, theirs)[0, 1] > 0.999
    np.testing.assert_allclose(ours, theirs, atol=0.15)
    assert np.ptp(theirs) > 5  # so that an eighth is little


def test_weights_of_another_shape_are_refused() -> None:
    shape = PolarityConfig(width=32)
    weights = PolarityClassifier(shape).weights()
    with pytest.raises(ValueError, match=r"readers\.0\.from_text.* instead of \(64, 384\)|has the"):
        PolarityReader(PolarityConfig(width=64), weights)
    del weights["readers.1.turn.bias"]
    with pytest.raises(ValueError, match=r"'readers\.1\.turn\.bias' has the shape None"):
        PolarityReader(shape, weights)

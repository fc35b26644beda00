"""Detectors of looks, learned from drawn photos by an encoder that sees colours alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from indexer.core.encoder import Tokens, Vectors
from retrieval.builtin_reranker.training.style_training import fitted, learn_looks
from retrieval.instructions.templates import Attribute, InstructionTemplates
from retrieval.pairs import read_pairs
from tests.fakes import ColourEncoder
from tests.tiny import colour_pairs

GRAMMAR = InstructionTemplates(
    attributes=(
        Attribute(family="animal", phrase="a dog", words=("dog",)),
        Attribute(family="look", phrase="black and white", words=("monochrome",)),
        Attribute(family="look", phrase="dark", words=()),
    ),
    held_families=frozenset(),
    templates={},
)


class SeeingEncoder(ColourEncoder):
    """Gives tokens: how bright a photo and its halves are, and how far from grey."""

    def encode_with_tokens(self, images: Sequence[Image.Image]) -> tuple[Vectors, Tokens]:
        rgb = np.stack([np.asarray(each.resize((2, 2)), dtype=np.float32) for each in images])
        pixels = rgb.reshape(len(images), 4, 3) / 255
        told = np.stack([pixels.mean(2), np.ptp(pixels, axis=2)], axis=2)  # (photos, 4, 2)
        whole = told.mean(axis=1, keepdims=True)
        return self.encode_images(images), np.concatenate([whole, told], axis=1)


def test_looks_are_told_on_any_photo(tmp_path: Path) -> None:
    encoder, pairs = SeeingEncoder(), read_pairs(colour_pairs(tmp_path)).pairs
    looks = learn_looks(encoder, pairs[::2], GRAMMAR)
    assert looks.names == (("black and white", "monochrome"), ("dark",))
    coloured = [
        photo for pair in pairs[1::2] if np.ptp(np.array(photo := pair.open()), axis=2).any()
    ]
    grey = [photo.convert("L").convert("RGB") for photo in coloured]
    _, tokens = encoder.encode_with_tokens([*coloured, *grey])
    odds = looks.odds([0], tokens)[0]
    assert (odds[len(coloured) :] > odds[: len(coloured)]).all()


def test_photos_that_cannot_be_read_teach_nothing(tmp_path: Path) -> None:
    pairs = read_pairs(colour_pairs(tmp_path)).pairs
    for pair in pairs:
        pair.photo.path.write_bytes(b"no photo")
    assert learn_looks(SeeingEncoder(), pairs, GRAMMAR).names == ()


def test_a_detector_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(200, 24)).astype(np.float32) * 3 + 1
    labels = np.where(seen[:, 2] > 4, 1, -1).astype(np.int8)
    labels[::5] = 0  # left open
    weights, bias = fitted(seen, labels)
    told = labels != 0
    standard = (seen - seen[told].mean(0)) / seen[told].std(0, ddof=1)
    strength = 1 / (2 * 0.01 * int(told.sum()))
    theirs = LogisticRegression(C=strength, class_weight="balanced", tol=1e-8)
    theirs.fit(standard[told], labels[told])
    wanted = theirs.decision_function(standard)
    assert seen @ weights + bias == pytest.approx(wanted, abs=0.02)

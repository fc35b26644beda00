"""The gate before the reader of text: pages pass, and photos without text do not."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from PIL import Image

from retrieval.models.text_gate import features, text_gate
from retrieval.runtime.select_encoder import quick_encoder
from tests.drawn_text import TEXTS, Style, page


def test_a_page_passes_and_a_cat_does_not() -> None:
    encoder = quick_encoder("builtin", "cpu")
    gate = text_gate(encoder.fingerprint)
    assert gate is not None
    pictures = [page(TEXTS["en"], Style(size=48)), Image.fromarray(skimage.data.chelsea())]
    _, tokens = encoder.encode_with_tokens(pictures)
    assert gate.passes(tokens).tolist() == [True, False]


def test_another_model_has_no_gate() -> None:
    assert text_gate("another fingerprint") is None


def test_features_are_the_mean_and_the_largest_of_each_value() -> None:
    tokens = np.array([[[1.0, 8.0], [3.0, 2.0]]], dtype=np.float32)
    found = features(tokens, np.array([1.0, 2.0], np.float32), np.array([2.0, 3.0], np.float32))
    assert found[0].tolist() == pytest.approx([0.5, 1.0, 1.0, 2.0])

"""Names are asked for by sentences; the mean is taken by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from indexer.core.encoder import Vectors
from retrieval.search.prompt_ensemble import ensemble, is_name, prompts
from tests.fakes import ColourEncoder


class Angles(ColourEncoder):
    """Remembers the sentences, and embeds each by its number of words."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 2

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        self.texts = list(texts)
        angles = np.array([len(text.split()) for text in texts], dtype=np.float32)
        return np.stack([np.cos(angles / 9), np.sin(angles / 9)], axis=1)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("cat", True),
        ("golden retriever", True),
        ("a golden retriever puppy", True),
        ("the", True),
        ("a cup of coffee", True),
        ("two cups of coffee", False),
        ("a dog on a beach", False),
        ("", False),
    ],
)
def test_a_name_is_short(text: str, short: bool) -> None:
    assert is_name(text) is short


def test_the_mean_of_the_sentences_of_each_name() -> None:
    encoder = Angles()
    vectors = ensemble(encoder, ["a golden retriever", "The cat"])
    templates = prompts()
    assert "{}" in templates
    assert encoder.texts == [
        template.format(name) for name in ("golden retriever", "cat") for template in templates
    ]
    for vector, added in zip(vectors, (2, 1), strict=True):
        angles = [(len(template.split()) - 1 + added) / 9 for template in templates]
        mean = np.array([np.mean(np.cos(angles)), np.mean(np.sin(angles))])
        np.testing.assert_allclose(vector, mean / np.hypot(*mean), atol=1e-6)


def test_no_names_no_vectors() -> None:
    assert ensemble(ColourEncoder(), []).shape == (0, 9)

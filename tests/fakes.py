"""Fakes with meaning: an encoder for drawn colours and colour words, and photos to go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.core.encoder import Vectors
from indexer.core.types import Hubness, Kind
from retrieval.reranking.score_fusion import FusionWeights

COLOURS = {
    "red": (220, 20, 20),
    "green": (20, 160, 40),
    "blue": (20, 40, 220),
    "yellow": (240, 220, 20),
    "purple": (130, 20, 150),
    "orange": (250, 130, 10),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}


class ColourEncoder:
    """Embeds a photo as the shares of its colours, a text as the counts of its colour words.

    Satisfies `indexer.core.encoder.Encoder` without a model. Each vector depends on its own input
    alone, so batches change nothing. One more dimension stands for "no colour at all".
    `generic` are the colour words of its banks: a photo and a text of the same colours are the
    same vector. Without them nothing is corrected for hubness.
    """

    def __init__(
        self,
        *,
        name: str = "colours",
        fingerprint: str = "c0105",
        generic: Mapping[Kind, Sequence[str]] | None = None,
        hubness: Hubness | None = None,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.dim = len(COLOURS) + 1
        self.image_size = 8
        self.hubness = hubness or Hubness()
        self._generic = dict(generic or {})

    def bank(self, kind: Kind) -> Vectors:
        """Embed the generic colour words of a kind. Shape (bank, dim)."""
        return self.encode_texts(self._generic.get(kind, ()))

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Embed photos. Shape (photos, dim)."""
        return _stack([self._shares(image) for image in images], self.dim)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts. Shape (texts, dim)."""
        return _stack([self._counts(text) for text in texts], self.dim)

    def _shares(self, image: Image.Image) -> np.ndarray:
        assert image.mode == "RGB", image.mode
        small = image.resize((self.image_size, self.image_size), Image.Resampling.BOX)
        pixels = np.asarray(small, dtype=np.float32).reshape(-1, 3)
        anchors = np.array(list(COLOURS.values()), dtype=np.float32)
        nearest = ((pixels[:, None] - anchors) ** 2).sum(axis=2).argmin(axis=1)
        return np.bincount(nearest, minlength=self.dim).astype(np.float32)

    def _counts(self, text: str) -> np.ndarray:
        words = text.lower().replace(",", " ").replace(".", " ").split()
        counts = [words.count(colour) for colour in COLOURS]
        return np.array([*counts, 0 if any(counts) else 1], dtype=np.float32)


class CountingEncoder(ColourEncoder):
    """Counts the photos that it embeds."""

    photos = 0

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Embed photos. Shape (photos, dim)."""
        self.photos += len(images)
        return super().encode_images(images)


def _stack(rows: list[np.ndarray], dim: int) -> Vectors:
    vectors = np.array(rows, dtype=np.float32).reshape(-1, dim)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


GENERIC = {
    Kind.PHOTO: ("red", "red green", "white black", "purple orange yellow"),
    Kind.TEXT: ("red", "red red blue", "green", "a sky", "yellow white", "black red"),
}
"""Generic colour words for the banks of `ColourEncoder`; red is what everything is near to."""


def draw(path: Path, *colours: str, size: tuple[int, int] = (64, 64)) -> Path:
    """Draw a photo of upright stripes, one a colour, and save it in the format of its suffix."""
    image = Image.new("RGB", size)
    edges = [size[0] * number // len(colours) for number in range(len(colours) + 1)]
    for colour, left, right in zip(colours, edges, edges[1:], strict=False):
        image.paste(COLOURS[colour], (left, 0, right, size[1]))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=95) if path.suffix == ".jpg" else image.save(path)
    return path


class ColourReranker:
    """Looks at drawn photos: how much they show of the colours that a text names.

    An instruction "with blue" counts blue five times, "no blue" takes it off as often. Satisfies
    `retrieval.reranking.Reranker` without a model; reads photos, no tokens.
    """

    def __init__(self, fusion: FusionWeights, *, longest: int = 100) -> None:
        self.name = "colours"
        self.fusion = fusion
        self.token_shape = None
        self._longest = longest
        self._encoder = ColourEncoder()

    def look(self, photos: Sequence[Image.Image]) -> Sequence[Image.Image]:
        """Return the photos themselves."""
        return photos

    def cuts(self, instruction: str) -> bool:
        """Tell whether an instruction is longer than was said."""
        return len(instruction) > self._longest

    def score(
        self, asked: Sequence[tuple[str, str]], sights: Sequence[Image.Image]
    ) -> NDArray[np.float64]:
        """Score couples: shares of the colours asked for, less those not wanted."""
        shares = np.stack([self._encoder._shares(sight) for sight in sights])
        shares = shares / shares.sum(axis=1, keepdims=True)  # (couples, colours + 1)
        signs = np.array([self._signs(query, instruction) for query, instruction in asked])
        return (shares * signs).sum(axis=1).astype(np.float64)

    def _signs(self, query: str, instruction: str) -> list[float]:
        wanted = query.lower().split()
        sign = 5.0 * ("with" in instruction) - 5.0 * ("no " in instruction)
        wish = instruction.lower().split()
        return [float(c in wanted) + sign * (c in wish) for c in COLOURS] + [0.0]

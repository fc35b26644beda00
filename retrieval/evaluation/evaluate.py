"""The evaluation of an encoder on image-text pairs, in both directions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.encoder import Encoder, Vectors
from indexer.errors import FileUnreadable
from indexer.types import Skip
from retrieval.errors import EvaluationInvalid
from retrieval.evaluation.metrics import (
    Ranks,
    bootstrap_interval,
    hit_rate_at_k,
    median_rank,
    ranks_of_vectors,
    recall_at_k,
)
from retrieval.pairs import Pair, PairSet

CUTS = (1, 5, 10)
BATCH = 64  # photos decoded at once: 64 of 12 megapixels, reduced while decoding, stay under 1 GB

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the photos done and the photos in all."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over queries and its 95 % bootstrap interval, all in percent."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Direction:
    """Quality of one direction. `hit_rate` is the "R@k" of papers, `recall` the textbook's.

    Both map k to percent; `median_rank` counts from 1.
    """

    queries: int
    hit_rate: Mapping[int, Estimate]
    recall: Mapping[int, Estimate]
    median_rank: float

    def as_json(self) -> dict[str, float | list[float]]:
        """Return `R@k`, `recall@k`, their intervals and `median_rank`, rounded to 0.01."""
        values: dict[str, float | list[float]] = {}
        for name, estimates in (("R", self.hit_rate), ("recall", self.recall)):
            for k, estimate in estimates.items():
                values[f"{name}@{k}"] = round(estimate.value, 2)
                values[f"{name}@{k}_interval"] = [round(estimate.low, 2), round(estimate.high, 2)]
        return {**values, "median_rank": self.median_rank}


@dataclass(frozen=True, kw_only=True)
class QueryRanks:
    """The ranks behind the figures, for comparing two models query by query.

    `photos` are the names of the photos; `owner` is each caption's photo, shape (captions,).
    """

    photos: tuple[str, ...]
    owner: NDArray[np.int64]
    text_to_image: Ranks
    image_to_text: Ranks


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an encoder reached on a set of pairs.

    `skipped` are photos that could not be read; they and their captions took no part.
    `duplicates` repeat an earlier photo pixel for pixel: each ties with its twin, and a tie
    counts against the model.
    """

    model: str
    images: int
    captions: int
    text_to_image: Direction
    image_to_text: Direction
    ranks: QueryRanks = field(repr=False, compare=False)
    skipped: tuple[Skip, ...] = ()
    duplicates: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the evaluation as plain values, ready for JSON."""
        return {
            "model": self.model,
            "images": self.images,
            "captions": self.captions,
            "text_to_image": self.text_to_image.as_json(),
            "image_to_text": self.image_to_text.as_json(),
            "skipped": [{"path": str(skip.path), "reason": skip.reason} for skip in self.skipped],
            "duplicates": list(self.duplicates),
        }


def evaluate(encoder: Encoder, pairs: PairSet, progress: Progress | None = None) -> Evaluation:
    """Measure how well words find their photo, and a photo its words.

    Every caption is a query over all photos, every photo a query over all captions.

    Raises:
        EvaluationInvalid: a photo has no caption, no photo can be read, or a score is NaN.
    """
    _require_captions(pairs)
    photos = _embed_photos(encoder, pairs.pairs, progress)
    owner, captions = _captions(photos.pairs)  # (captions,)
    texts = encoder.encode_texts(captions)  # (captions, dim)
    of_caption = [np.array([photo]) for photo in owner]
    of_photo = [np.flatnonzero(owner == photo) for photo in range(len(photos.pairs))]
    ranks = QueryRanks(
        photos=tuple(pair.name for pair in photos.pairs),
        owner=owner,
        text_to_image=ranks_of_vectors(texts, photos.vectors, of_caption),
        image_to_text=ranks_of_vectors(photos.vectors, texts, of_photo),
    )
    return Evaluation(
        model=encoder.name,
        images=len(photos.pairs),
        captions=len(captions),
        text_to_image=_summary(ranks.text_to_image),
        image_to_text=_summary(ranks.image_to_text),
        ranks=ranks,
        skipped=(*pairs.skipped, *photos.skipped),
        duplicates=photos.duplicates,
    )


@dataclass(frozen=True, kw_only=True)
class _Photos:
    """The photos that could be read: their pairs and vectors (photos, dim)."""

    pairs: tuple[Pair, ...]
    vectors: Vectors
    skipped: tuple[Skip, ...]
    duplicates: tuple[str, ...]


def _require_captions(pairs: PairSet) -> None:
    """Refuse a set in which some photo has nothing to be found by."""
    bare = [skip.reason for skip in pairs.uncaptioned]
    bare += [f"'{pair.name}' has no caption" for pair in pairs.pairs if not pair.captions]
    if bare:
        raise EvaluationInvalid(
            f"{len(bare)} photos have no caption, so their recall is undefined; the first: "
            f"{bare[0]}. Give each a caption or take it out"
        )


def _embed_photos(encoder: Encoder, pairs: tuple[Pair, ...], progress: Progress | None) -> _Photos:
    """Decode and encode the photos, a batch at a time; keep what could be read."""
    kept: list[Pair] = []
    skipped: list[Skip] = []
    duplicates: list[str] = []
    vectors: list[Vectors] = []
    seen: set[bytes] = set()
    for start in range(0, len(pairs), BATCH):
        batch = list(_decode(pairs[start : start + BATCH], encoder.image_size, skipped))
        for pair, image in batch:
            digest = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).digest()
            duplicates += [pair.name] if digest in seen else []
            seen.add(digest)
        kept += [pair for pair, _ in batch]
        vectors += [encoder.encode_images([image for _, image in batch])] if batch else []
        if progress is not None:
            progress(min(start + BATCH, len(pairs)), len(pairs))
    if not kept:
        first = f": {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise EvaluationInvalid(f"no photo of the pairs can be read{first}")
    return _Photos(
        pairs=tuple(kept),
        vectors=np.concatenate(vectors),
        skipped=tuple(skipped),
        duplicates=tuple(duplicates),
    )


def _decode(
    pairs: tuple[Pair, ...], size_hint: int, skipped: list[Skip]
) -> Iterator[tuple[Pair, Image.Image]]:
    """Open each photo; add what cannot be read to `skipped`."""
    for pair in pairs:
        try:
            yield pair, pair.open(size_hint=size_hint)
        except FileUnreadable as error:
            skipped.append(Skip(path=pair.photo.path, reason=str(error)))


def _captions(pairs: tuple[Pair, ...]) -> tuple[NDArray[np.int64], list[str]]:
    """Return for each caption its photo's place, and the captions in that order."""
    owner = np.repeat(np.arange(len(pairs)), [len(pair.captions) for pair in pairs])
    return owner, [caption for pair in pairs for caption in pair.captions]


def _summary(ranks: Ranks) -> Direction:
    """Average the metrics over the queries of one direction."""
    return Direction(
        queries=len(ranks),
        hit_rate={k: _estimate(hit_rate_at_k(ranks, k)) for k in CUTS},
        recall={k: _estimate(recall_at_k(ranks, k)) for k in CUTS},
        median_rank=median_rank(ranks),
    )


def _estimate(values: NDArray[np.float64]) -> Estimate:
    """Turn one value a query into a mean with its interval, in percent."""
    low, high = bootstrap_interval(values)
    return Estimate(value=100 * float(values.mean()), low=100 * low, high=100 * high)

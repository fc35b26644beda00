"""Evaluate an encoder on image-text pairs, in both directions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.core.encoder import Encoder, Vectors
from indexer.core.errors import FileUnreadable
from indexer.core.types import Hubness, Kind, Skip
from retrieval.errors import EvaluationInvalid
from retrieval.evaluation.first_stage import FirstStage
from retrieval.evaluation.metrics import (
    Ranks,
    Relevant,
    Rescored,
    bootstrap_interval,
    hit_rate_at_k,
    median_rank,
    ranks_of_vectors,
    recall_at_k,
)
from retrieval.evaluation.second_stage import SecondStage
from retrieval.pairs import Pair, PairSet
from retrieval.reranking import ImageFeatures, Reranker

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

    Both map k to percent; `median_rank` counts from 1. `ranks` are what the figures come from.
    """

    queries: int
    hit_rate: Mapping[int, Estimate]
    recall: Mapping[int, Estimate]
    median_rank: float
    ranks: Ranks = field(repr=False, compare=False)

    def as_json(self) -> dict[str, float | list[float]]:
        """Return `R@k`, `recall@k`, their intervals and `median_rank`, rounded to 0.01."""
        values: dict[str, float | list[float]] = {}
        for name, estimates in (("R", self.hit_rate), ("recall", self.recall)):
            for k, estimate in estimates.items():
                values[f"{name}@{k}"] = round(estimate.value, 2)
                values[f"{name}@{k}_interval"] = [round(estimate.low, 2), round(estimate.high, 2)]
        return {**values, "median_rank": self.median_rank}


@dataclass(frozen=True, kw_only=True)
class Directions:
    """Quality of both directions under one way of scoring."""

    text_to_image: Direction
    image_to_text: Direction

    def as_json(self) -> dict[str, object]:
        """Return both as plain values."""
        return {
            "text_to_image": self.text_to_image.as_json(),
            "image_to_text": self.image_to_text.as_json(),
        }


@dataclass(frozen=True, kw_only=True)
class Evaluation(Directions):
    """The evaluation of an encoder on a set of pairs, scored as a search scores.

    `hubness` is the correction that took part, None where none did; `without_hubness` is what
    the plain cosines reach. `reranker` is the name of the second stage that took part, None where
    none did; `first_stage` is what was reached before it.

    `photos` are the names of the photos, `owner` is each caption's photo, shape (captions,).
    `skipped` are photos that could not be read; they and their captions took no part.
    `duplicates` repeat an earlier photo pixel for pixel: each ties with its twin, and a tie
    counts against the model.
    """

    model: str
    images: int
    captions: int
    hubness: Hubness | None
    without_hubness: Directions
    reranker: str | None
    first_stage: Directions
    photos: tuple[str, ...] = field(repr=False)
    owner: NDArray[np.int64] = field(repr=False, compare=False)
    skipped: tuple[Skip, ...] = ()
    duplicates: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the evaluation as plain values, ready for JSON."""
        return {
            "model": self.model,
            "images": self.images,
            "captions": self.captions,
            **super().as_json(),
            "hubness": asdict(self.hubness) if self.hubness else None,
            "without_hubness": self.without_hubness.as_json(),
            "reranker": self.reranker,
            "first_stage": self.first_stage.as_json(),
            "skipped": [{"path": str(skip.path), "reason": skip.reason} for skip in self.skipped],
            "duplicates": list(self.duplicates),
        }


def evaluate(
    encoder: Encoder,
    pairs: PairSet,
    progress: Progress | None = None,
    *,
    hubness: bool = True,
    reranker: Reranker | None = None,
) -> Evaluation:
    """Measure how well captions find their photo, and photos their captions.

    Every caption is a query over all photos, every photo a query over all captions. Scores are
    corrected for hubness as in a library, by the encoder's own reference set: never by these pairs.

    Args:
        encoder: the model.
        pairs: photos with captions.
        progress: called after each batch of photos.
        hubness: False for plain cosines alone.
        reranker: rescores each query's first candidates, as in search; None for none.

    Raises:
        EvaluationInvalid: a photo has no caption, no photo can be read, or a score is NaN.
    """
    _require_captions(pairs)
    photos = _embed_photos(encoder, pairs.pairs, progress, reranker)
    owner, captions = _captions(photos.pairs)  # (captions,)
    texts = encoder.encode_texts(captions)  # (captions, dim)
    of_caption = [np.array([photo]) for photo in owner]
    of_photo = [np.flatnonzero(owner == photo) for photo in range(len(photos.pairs))]
    there = _RetrievalTask(queries=texts, items=photos.vectors, relevant=of_caption)
    back = _RetrievalTask(queries=photos.vectors, items=texts, relevant=of_photo)
    first = plain = _both(there, back)
    stage = FirstStage.of(encoder) if hubness else None
    if stage is not None and stage.corrects:
        there, back = there.corrected(stage, Kind.TEXT), back.corrected(stage, Kind.PHOTO)
        first = _both(there, back)
    second = first
    if reranker is not None:
        asked = [(caption, "") for caption in captions]
        second = _reranked(
            SecondStage(reranker=reranker, photos=photos.sights, texts=asked), there, back
        )
    return Evaluation(
        model=encoder.name,
        images=len(photos.pairs),
        captions=len(captions),
        text_to_image=second.text_to_image,
        image_to_text=second.image_to_text,
        hubness=stage.hubness if stage and stage.corrects else None,
        without_hubness=plain,
        reranker=reranker.name if reranker else None,
        first_stage=first,
        photos=tuple(pair.name for pair in photos.pairs),
        owner=owner,
        skipped=(*pairs.skipped, *photos.skipped),
        duplicates=photos.duplicates,
    )


@dataclass(frozen=True, kw_only=True)
class _Photos:
    """The photos that could be read: their pairs and vectors (photos, dim).

    `sights` are what a reranker reads of them, if there is one.
    """

    pairs: tuple[Pair, ...]
    vectors: Vectors
    sights: tuple[ImageFeatures, ...]
    skipped: tuple[Skip, ...]
    duplicates: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _RetrievalTask:
    """One direction: queries (q, dim), items (n, dim), and what is right for each query."""

    queries: Vectors
    items: Vectors
    relevant: Relevant

    def corrected(self, stage: FirstStage, query: Kind) -> _RetrievalTask:
        """Return the same, scored as search does."""
        queries, items = stage.vectors(self.queries, self.items, query=query)
        return replace(self, queries=queries, items=items)

    def quality(self, rescored: Rescored | None = None) -> Direction:
        """Rank the items for each query, by a second stage if there is one."""
        return _summary(ranks_of_vectors(self.queries, self.items, self.relevant, rescored))


def _both(there: _RetrievalTask, back: _RetrievalTask) -> Directions:
    """Measure both directions."""
    return Directions(text_to_image=there.quality(), image_to_text=back.quality())


def _reranked(stage: SecondStage, there: _RetrievalTask, back: _RetrievalTask) -> Directions:
    """Measure both directions, each with the second stage where that is on."""
    onward, homeward = stage, replace(stage, query=Kind.PHOTO)
    return Directions(
        text_to_image=there.quality(onward.rescored if onward.weight else None),
        image_to_text=back.quality(homeward.rescored if homeward.weight else None),
    )


def _require_captions(pairs: PairSet) -> None:
    """Refuse a set in which some photo has nothing to be found by."""
    bare = [skip.reason for skip in pairs.uncaptioned]
    bare += [f"'{pair.name}' has no caption" for pair in pairs.pairs if not pair.captions]
    if bare:
        raise EvaluationInvalid(
            f"{len(bare)} photos have no caption, so their recall is undefined; the first: "
            f"{bare[0]}. Give each a caption or take it out"
        )


def _embed_photos(
    encoder: Encoder,
    pairs: tuple[Pair, ...],
    progress: Progress | None,
    reranker: Reranker | None,
) -> _Photos:
    """Decode and encode the photos, a batch at a time; keep what could be read."""
    kept: list[Pair] = []
    skipped: list[Skip] = []
    duplicates: list[str] = []
    vectors: list[Vectors] = []
    sights: list[ImageFeatures] = []
    seen: set[bytes] = set()
    for start in range(0, len(pairs), BATCH):
        batch = list(decode(pairs[start : start + BATCH], encoder.image_size, skipped))
        for pair, image in batch:
            digest = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).digest()
            duplicates += [pair.name] if digest in seen else []
            seen.add(digest)
        kept += [pair for pair, _ in batch]
        images = [image for _, image in batch]
        vectors += [encoder.encode_images(images)] if images else []
        sights += reranker.look(images) if images and reranker else []
        if progress is not None:
            progress(min(start + BATCH, len(pairs)), len(pairs))
    if not kept:
        first = f": {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise EvaluationInvalid(f"no photo of the pairs can be read{first}")
    return _Photos(
        pairs=tuple(kept),
        vectors=np.concatenate(vectors),
        sights=tuple(sights),
        skipped=tuple(skipped),
        duplicates=tuple(duplicates),
    )


def decode(
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
        ranks=ranks,
    )


def _estimate(values: NDArray[np.float64]) -> Estimate:
    """Turn one value a query into a mean with its interval, in percent."""
    low, high = bootstrap_interval(values)
    return Estimate(value=100 * float(values.mean()), low=100 * low, high=100 * high)

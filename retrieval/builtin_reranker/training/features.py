"""The training material of a reranker: patch tokens of photos in several views, and captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from indexer.core.encoder import Vectors
from indexer.core.errors import FileUnreadable
from indexer.core.types import Skip
from retrieval.errors import PairsInvalid
from retrieval.instructions.caption_labels import Labels, label, looks_of
from retrieval.instructions.templates import InstructionTemplates
from retrieval.models.torch_encoder import TorchEncoder, batches
from retrieval.pairs import Pair

_BATCH = 64
_CROP = (0.6, 1.0)  # share of a photo's area that a view shows

Progress = Callable[[int, int], None]
"""Called with what is done and how much there is in all: photos, steps or queries."""


def unwatched(_done: int, _total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """Photos with captions, as the dual encoder sees them.

    Attributes:
        views: image tokens; the first view is the whole photo. Each (photos, m, width), float16.
        vectors: of the whole photos. Shape (photos, dim).
        captions: of all photos.
        owner: the photo of each caption. Shape (captions,).
        texts: vectors of the captions. Shape (captions, dim).
        labels: what is on the photos. Shape (attributes, photos).
        skipped: photos that could not be read.
    """

    views: tuple[Tensor, ...]
    vectors: Vectors
    captions: tuple[str, ...]
    owner: NDArray[np.int64]
    texts: Vectors
    labels: Labels
    skipped: tuple[Skip, ...] = field(default=())


def gather(
    encoder: TorchEncoder,
    pairs: Sequence[Pair],
    grammar: InstructionTemplates,
    *,
    views: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> FeatureSet:
    """Embed photos and captions, and label the photos with the grammar's attributes.

    Args:
        encoder: a built-in dual encoder; it stays as it is.
        pairs: photos with their captions.
        grammar: whose attributes to tell.
        views: of each photo; all but the first are random crops, mirrored.
        seed: of the crops.
        progress: called after each batch of photos.

    Raises:
        PairsInvalid: no photo can be read.
    """
    looked = _Looked(encoder, views, np.random.default_rng(seed))
    for batch in batches(pairs, _BATCH):
        looked.add(batch)
        if progress is not None:
            progress(looked.seen, len(pairs))
    kept = looked.pairs
    if not kept:
        raise PairsInvalid("none of the photos can be read")
    captions = [text for pair in kept for text in pair.captions]
    owner = [number for number, pair in enumerate(kept) for _ in pair.captions]
    return FeatureSet(
        views=tuple(torch.cat(view) for view in looked.views),
        vectors=np.concatenate(looked.vectors),
        captions=tuple(captions),
        owner=np.array(owner, dtype=np.int64),
        texts=encoder.encode_texts(captions),
        labels=label(grammar.attributes, [pair.captions for pair in kept], looked.looks),
        skipped=tuple(looked.skipped),
    )


class _Looked:
    """Photos, looked at batch by batch."""

    def __init__(self, encoder: TorchEncoder, views: int, rng: np.random.Generator) -> None:
        self._encoder, self._rng = encoder, rng
        self.views: list[list[Tensor]] = [[] for _ in range(views)]
        self.vectors: list[Vectors] = []
        self.pairs: list[Pair] = []
        self.looks: list[dict[str, int]] = []
        self.skipped: list[Skip] = []
        self.seen = 0

    def add(self, pairs: Sequence[Pair]) -> None:
        """Decode a batch, once, and embed all its views."""
        photos = [photo for pair in pairs if (photo := self._decode(pair)) is not None]
        self.seen += len(pairs)
        if not photos:
            return
        self.looks += [looks_of(photo) for photo in photos]
        for number, view in enumerate(self.views):
            shown = [self._crop(photo) for photo in photos] if number else photos
            vectors, tokens = self._encoder.encode_with_tokens(shown)
            view.append(torch.from_numpy(tokens).half())
            if not number:
                self.vectors.append(vectors)

    def _decode(self, pair: Pair) -> Image.Image | None:
        """Read a photo; note it among the pairs, or among the skipped."""
        try:
            photo = pair.open(size_hint=self._encoder.image_size)
        except FileUnreadable as error:
            self.skipped.append(Skip(path=pair.photo.path, reason=str(error)))
            return None
        self.pairs.append(pair)
        return photo

    def _crop(self, photo: Image.Image) -> Image.Image:
        """Return a random part of a photo, mirrored."""
        share = float(np.sqrt(self._rng.uniform(*_CROP)))
        width, height = (max(1, round(side * share)) for side in photo.size)
        left = int(self._rng.integers(photo.width - width + 1))
        top = int(self._rng.integers(photo.height - height + 1))
        part = photo.crop((left, top, left + width, top + height))
        return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)

"""Recall on the validation pairs during a run: photos are prepared once, the weights change."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from indexer.core.encoder import Vectors
from indexer.core.errors import FileUnreadable
from indexer.core.types import Skip
from retrieval.errors import PairsInvalid
from retrieval.evaluation.metrics import Ranks, hit_rate_at_k, ranks_of_vectors
from retrieval.models.loaded_model import Model
from retrieval.models.pixels import canvas, normalize
from retrieval.models.torch_encoder import batches
from retrieval.pairs import Pair

_BATCH = 250


class EvalCopy:
    """A float32 twin of the model in training; takes its weights to be measured and saved."""

    def __init__(self, model: Model) -> None:
        self.model = replace(model, module=copy.deepcopy(model.module))
        self.model.module.eval()

    @torch.no_grad()
    def take(self, weights: dict[str, Tensor]) -> Model:
        """Copy weights into the twin, and return it."""
        for name, parameter in self.model.module.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])
        return self.model


class DevSet:
    """Pairs to measure on, decoded once and kept as pixels.

    Photos that do not decode take no part, nor do their captions; `skipped` names them.

    Args:
        model: whose preprocessing to use.
        pairs: photos and their captions.

    Raises:
        PairsInvalid: no photo decodes.
    """

    def __init__(self, model: Model, pairs: Sequence[Pair]) -> None:
        self.skipped: list[Skip] = []
        decoded = [(pair, self._decode(model, pair)) for pair in pairs]
        pairs = [pair for pair, canvas in decoded if canvas is not None]
        if not pairs:
            raise PairsInvalid(
                f"none of the {len(decoded)} photos to measure on could be decoded; the first: "
                f"{self.skipped[0].path}: {self.skipped[0].reason}"
            )
        self._canvases = torch.stack([canvas for _, canvas in decoded if canvas is not None])
        self._captions = [text for pair in pairs for text in pair.captions]
        owner = np.repeat(np.arange(len(pairs)), [len(pair.captions) for pair in pairs])
        self._photo_of = [np.array([photo]) for photo in owner]
        self._captions_of = [np.flatnonzero(owner == photo) for photo in range(len(pairs))]

    def _decode(self, model: Model, pair: Pair) -> Tensor | None:
        """Decode one photo, or add it to those left out."""
        size = model.image.size
        try:
            return canvas(model.image, pair.open(size_hint=size), size)
        except FileUnreadable as error:
            self.skipped.append(Skip(path=pair.photo.path, reason=str(error)))
            return None

    @torch.inference_mode()
    def measure(self, model: Model, device: torch.device) -> dict[str, Any]:
        """Return R@k of both directions in percent."""
        towers = model.towers
        photos = [
            towers.encode_image(normalize(model.image, canvases.to(device)))
            for canvases in torch.split(self._canvases, _BATCH)
        ]
        captions = [
            towers.encode_text(model.tokenize(batch).to(device))
            for batch in batches(self._captions, _BATCH)
        ]
        images, texts = _unit(photos), _unit(captions)
        return {
            "text_to_image": _recalls(ranks_of_vectors(texts, images, self._photo_of)),
            "image_to_text": _recalls(ranks_of_vectors(images, texts, self._captions_of)),
        }


def sum_of_recalls(figures: dict[str, Any]) -> float:
    """Return the sum of R@1, R@5 and R@10 of both directions (the field's `rsum`)."""
    directions = ("text_to_image", "image_to_text")
    return float(sum(figures[direction][f"R@{k}"] for direction in directions for k in (1, 5, 10)))


def _recalls(ranks: Ranks) -> dict[str, float]:
    """Return R@1, R@5 and R@10 in percent."""
    return {f"R@{k}": round(100 * float(hit_rate_at_k(ranks, k).mean()), 2) for k in (1, 5, 10)}


def _unit(parts: list[Tensor]) -> Vectors:
    """Join batches of embeddings and scale each to unit length."""
    vectors: Vectors = F.normalize(torch.cat(parts).float(), dim=-1).cpu().numpy()
    return vectors

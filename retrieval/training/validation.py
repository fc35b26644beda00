"""Recall on the dev pairs while a run goes on: photos prepared once, weights lent each time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from indexer.encoder import Vectors
from retrieval.evaluation.metrics import Ranks, hit_rate_at_k, ranks_of_vectors
from retrieval.models.encoder import batches
from retrieval.models.model import Model
from retrieval.pairs import Pair

_BATCH = 250


class Snapshot:
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


class Validation:
    """The dev set, decoded once and kept as pixels.

    Args:
        model: whose preprocessing to use.
        pairs: photos (decodable) and their captions.
    """

    def __init__(self, model: Model, pairs: Sequence[Pair]) -> None:
        size = model.image.size
        photos = [model.image.canvas(pair.open(size_hint=size), size) for pair in pairs]
        self._canvases = torch.stack(photos)
        self._captions = [text for pair in pairs for text in pair.captions]
        owner = np.repeat(np.arange(len(pairs)), [len(pair.captions) for pair in pairs])
        self._photo_of = [np.array([photo]) for photo in owner]
        self._captions_of = [np.flatnonzero(owner == photo) for photo in range(len(pairs))]

    @torch.inference_mode()
    def measure(self, model: Model, device: torch.device) -> dict[str, Any]:
        """Return R@k of both directions in percent."""
        towers = model.towers
        photos = [
            towers.encode_image(model.image.normalize(canvas.to(device)))
            for canvas in torch.split(self._canvases, _BATCH)
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


def _recalls(ranks: Ranks) -> dict[str, float]:
    """Return R@1, R@5 and R@10 in percent."""
    return {f"R@{k}": round(100 * float(hit_rate_at_k(ranks, k).mean()), 2) for k in (1, 5, 10)}


def _unit(parts: list[Tensor]) -> Vectors:
    """Join batches of embeddings and scale each to unit length."""
    vectors: Vectors = F.normalize(torch.cat(parts).float(), dim=-1).cpu().numpy()
    return vectors

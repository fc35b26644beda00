"""A loaded dual encoder with its tokenizer and preprocessing, for training and encoding."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from PIL import Image
from torch import Tensor, nn

from indexer.core.types import Hubness
from retrieval.models.preprocess import ImageSpec
from retrieval.models.tokenizer import Tokenizer


class Towers(Protocol):
    """What `TwinTowers` and open_clip's models have in common."""

    logit_scale: nn.Parameter

    def encode_image(self, image: Tensor, normalize: bool = False) -> Tensor:
        """Embed normalised pixels. (b, 3, s, s) → (b, d)."""
        ...

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        """Embed token ids. (b, n) → (b, d)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Model:
    """A dual encoder, ready to be trained or to encode.

    Attributes:
        name: what a person calls it.
        module: the towers; satisfies `Towers`.
        tokenize: texts → token ids, shape (texts, tokens).
        preprocess: one RGB photo → pixels, shape (3, size, size).
        image: the same as data, from which training derives its augmented crops.
        architecture: JSON-able description that rebuilds `module` without weights.
        dim: length of the joint vectors.
        fingerprint: hash of architecture, preprocessing and weights.
        tokenizer_file: to be copied beside a checkpoint, if the tokenizer is a file.
        hubness: how search corrects for hubs; no part of the fingerprint.
        folder: that it was read from; its reference vectors are there, if it has any.
    """

    name: str
    module: nn.Module
    tokenize: Callable[[Sequence[str]], Tensor]
    preprocess: Callable[[Image.Image], Tensor]
    image: ImageSpec
    architecture: dict[str, Any]
    dim: int
    fingerprint: str = ""
    tokenizer_file: Path | None = None
    hubness: Hubness = field(default_factory=Hubness)
    folder: Path | None = None

    @property
    def towers(self) -> Towers:
        """The module, seen as towers."""
        return cast(Towers, self.module)


@dataclass(frozen=True)
class TensorTokenizer:
    """A reader of texts, for towers of torch."""

    reader: Tokenizer

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Return token ids, int64, shape (texts, longest)."""
        return torch.from_numpy(self.reader.ids(texts))


def fingerprint(architecture: dict[str, Any], module: nn.Module) -> str:
    """Return a short hash of a model in memory: its configuration and every weight."""
    digest = hashlib.blake2b(json.dumps(architecture, sort_keys=True).encode(), digest_size=16)
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()

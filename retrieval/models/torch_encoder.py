"""The encoder with torch: a model's two towers behind the indexer's `Encoder` protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from indexer.core.encoder import Tokens, TokenShape, Vectors
from indexer.core.resize import ImageInputSpec
from indexer.core.types import Hubness, Kind
from retrieval.errors import ModelUnavailable
from retrieval.models.dual_encoder import DualEncoder, ImageTower, TextTower
from retrieval.models.language_tower import LanguageTower, encoded_by_language, language_tower
from retrieval.models.loaded_model import Model
from retrieval.models.phrases import Phrase
from retrieval.models.reference_vectors import bank_file, generic_captions, load_bank
from retrieval.models.soft_tokens import TorchPrompts
from retrieval.models.tokenizer import is_whole, unread

BATCH = 64
T = TypeVar("T")


class TorchEncoder:
    """Encodes photos and texts with a model, in batches, on one device.

    Args:
        model: the dual encoder; moved to `device`, set to evaluation.
        device: `cpu`, `cuda`, `mps`, or `auto` for the best there is.
    """

    def __init__(self, model: Model, device: str = "auto") -> None:
        self.device = choose_device(device)
        self._model = model
        model.module.to(self.device).eval()

    @property
    def model(self) -> Model:
        """The model."""
        return self._model

    @property
    def name(self) -> str:
        """What a person calls the model."""
        return self._model.name

    @property
    def fingerprint(self) -> str:
        """Hash of architecture, weights and preprocessing."""
        return self._model.fingerprint

    @property
    def dim(self) -> int:
        """Length of every vector."""
        return self._model.dim

    @property
    def image_size(self) -> int:
        """Pixels a side that the image tower sees."""
        return self._model.image.size

    @property
    def square(self) -> ImageInputSpec:
        """How a photo becomes what the image tower sees."""
        return self._model.image

    @property
    def hubness(self) -> Hubness:
        """How the hubness of items is measured and corrected with this model."""
        return self._model.hubness

    def bank(self, kind: Kind) -> Vectors:
        """Return vectors of generic photos or texts: the model's own, else of our captions.

        Shape (bank, dim); empty for photos where the model's folder has none.

        Raises:
            ModelUnavailable: the file in the model's folder is broken or of other weights.
        """
        file = bank_file(self._model.folder, kind) if self._model.folder else None
        if file is not None and file.exists():
            return load_bank(file, fingerprint=self.fingerprint, dim=self.dim)
        return self.encode_texts(generic_captions() if kind == Kind.TEXT else [])

    @torch.inference_mode()
    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Embed RGB photos. Shape (photos, dim), unit norm."""
        towers = self._model.towers
        return self._join(
            towers.encode_image(self._pixels(batch)) for batch in batches(images, BATCH)
        )

    @property
    def token_shape(self) -> TokenShape | None:
        """Size of a photo's image tokens; None for towers that give none (open_clip's)."""
        tower = self._image_tower
        if tower is None:
            return None
        side = tower.config.size // tower.config.patch // 2
        return TokenShape(tokens=1 + side**2, width=tower.config.width)

    @torch.inference_mode()
    def encode_with_tokens(self, images: Sequence[Image.Image]) -> tuple[Vectors, Tokens]:
        """Embed RGB photos, and give the image tokens that a reranker reads, in one pass.

        Shapes (photos, dim) and (photos, tokens, width).

        Raises:
            ModelUnavailable: the towers give no tokens.
        """
        tower, shape = self._image_tower, self.token_shape
        if tower is None or shape is None:
            raise ModelUnavailable(f"the model {self.name!r} gives no image tokens")
        tokens = [tower.tokens(self._pixels(batch)) for batch in batches(images, BATCH)]
        empty = np.zeros((0, shape.tokens, shape.width), dtype=np.float32)
        fewer = [tower.summarise(part).float().cpu().numpy() for part in tokens]
        return self._join(tower.embed(part) for part in tokens), np.concatenate([empty, *fewer])

    @torch.inference_mode()
    def embed_tokens(self, tokens: Tokens) -> Vectors:
        """Embed photos by the tokens that `encode_with_tokens` gave: nearly their vectors.

        (photos, tokens, width) → (photos, dim), unit norm.

        Raises:
            ModelUnavailable: the towers give no tokens.
        """
        tower = self._image_tower
        if tower is None:
            raise ModelUnavailable(f"the model {self.name!r} gives no image tokens")
        weight = next(tower.parameters())
        parts = torch.split(torch.from_numpy(tokens), BATCH)
        return self._join(tower.embed(part.to(weight)) for part in parts)

    @property
    def reads_instructions(self) -> bool:
        """Tell whether its text tower gives tokens to a reranker."""
        return self.text_tower is not None

    @torch.inference_mode()
    def read_early(self, texts: Sequence[str], depth: int) -> list[NDArray[np.float32]]:
        """Return tokens of texts after the first blocks of the text tower, without padding.

        Shape (n, text width) each.

        Raises:
            ModelUnavailable: the tower gives no tokens.
        """
        tower = self.text_tower
        if tower is None:
            raise ModelUnavailable(f"the model {self.name!r} gives no tokens of texts")
        ids = self.tokenize(texts).to(self.device)
        states = tower.read(tower.embed(ids), ids != 0, depth).float().cpu().numpy()
        return [row[:n] for row, n in zip(states, (ids != 0).sum(dim=1).tolist(), strict=True)]

    def fills(self, text: str) -> bool:
        """Tell whether a text fills all that the text tower reads: its end may be left out."""
        tower = self.text_tower
        return tower is not None and self.tokenize([text]).shape[1] >= len(tower.pos_embed)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Return the token ids that the text tower reads. Shape (texts, tokens)."""
        return self._model.tokenize(texts)

    def knows(self, word: str) -> bool:
        """Return whether a word is read as one; a tokenizer of many languages says yes."""
        cuts = self.text_tower is not None or getattr(self._model.tokenize, "cuts_words", False)
        return not cuts or is_whole(self.tokenize([word]).cpu().numpy())

    def unread(self, text: str) -> str:
        """Return the end of a text that is too long to be read; empty for none."""
        if self._languages is not None and self._languages.is_foreign(text):
            return unread(text, self._languages.ids)
        return unread(text, lambda texts: self.tokenize(texts).cpu().numpy())

    @property
    def text_tower(self) -> TextTower | None:
        """The built-in text tower; None for another architecture."""
        module = self._model.module
        return module.text if isinstance(module, DualEncoder) else None

    @property
    def _image_tower(self) -> ImageTower | None:
        """The built-in image tower; None for another architecture."""
        module = self._model.module
        return module.visual if isinstance(module, DualEncoder) else None

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, each with the tower of its language. Shape (texts, dim), unit norm."""
        return encoded_by_language(self._languages, texts, self._encode_english)

    @property
    def other_languages(self) -> tuple[str, ...]:
        """The codes of the languages that it reads beside English; empty for none."""
        return self._languages.languages if self._languages is not None else ()

    def is_foreign(self, text: str) -> bool:
        """Return whether a text is read as one in another language than English."""
        return self._languages is not None and self._languages.is_foreign(text)

    @cached_property
    def _languages(self) -> LanguageTower | None:
        """The text tower for other languages than English; None if there is none."""
        return language_tower(self._model.folder, self.fingerprint)

    @torch.inference_mode()
    def _encode_english(self, texts: Sequence[str]) -> Vectors:
        """Embed texts with the one tower that every model has. Shape (texts, dim), unit norm."""
        towers = self._model.towers
        return self._join(
            towers.encode_text(self.tokenize(batch).to(self.device))
            for batch in batches(texts, BATCH)
        )

    def prompt_tower(self) -> TorchPrompts:
        """Return the text tower, reading vectors in the place of words.

        Raises:
            ModelUnavailable: this model's cannot.
        """
        return self._prompts

    @cached_property
    def _prompts(self) -> TorchPrompts:
        """The text tower, reading vectors in the place of words."""
        return TorchPrompts(self._model, self.device)

    @torch.inference_mode()
    def encode_phrases(self, phrases: Sequence[Phrase], table: NDArray[np.float32]) -> Vectors:
        """Embed phrases with slots for rows of a table. Shape (phrases, dim), unit norm."""
        rows = torch.from_numpy(table)
        return self._join(self._prompts.embed(batch, rows) for batch in batches(phrases, BATCH))

    def _pixels(self, images: Sequence[Image.Image]) -> Tensor:
        """Preprocess one batch. Shape (b, 3, s, s)."""
        return torch.stack([self._model.preprocess(image) for image in images]).to(self.device)

    def _join(self, embedded: Iterator[Tensor]) -> Vectors:
        """Normalise batches to unit length and bring them to numpy."""
        parts = [F.normalize(part.float(), dim=-1).cpu().numpy() for part in embedded]
        if not parts:
            return np.zeros((0, self.dim), dtype=np.float32)
        return np.concatenate(parts)


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into runs of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def choose_device(device: str) -> torch.device:
    """Turn `auto` into the best device there is; check the others.

    Raises:
        ModelUnavailable: the device does not exist on this machine.
    """
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if here[name]))
    kind = device.partition(":")[0]
    if not here.get(kind, False):
        usable = ", ".join(name for name, usable in here.items() if usable)
        raise ModelUnavailable(f"no device '{device}' on this machine; there is: {usable}")
    return torch.device(device)

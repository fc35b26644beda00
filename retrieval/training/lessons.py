"""What a run teaches beside its captions: the kinds of things on photos, and the language itself.

Two files, made beforehand, so that no teacher runs during training:

| file | tensors | metadata |
|---|---|---|
| kinds | `probabilities` float16 (photos, classes) | `photos`: paths relative to the file |
| | `members` uint8 (kinds, classes) | `names`: for each kind what people call it |
| vocabulary | `vectors` float16 (texts, width), unit norm | `texts` |

A classifier said how likely each class is on each photo. A kind is a class or a group of classes
("tabby", "cat", "animal"): its probability is the sum over its classes. The vocabulary's vectors
are those of a text encoder that knows more words than the captions hold.

Shapes: b photos, k kinds, n vocabulary texts, t = k + n, d joint dimension.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional as F

from retrieval.errors import PairsInvalid
from retrieval.training.losses import similarity_logits

KINDS = 192  # kinds named in a batch: a third of the photos of a batch of 512 are told apart
TEXTS = 128  # vocabulary texts in a batch
CLEAR = 0.1  # a kind with less probability over the whole batch is a negative alone
SHARPNESS = 20.0  # inverse temperature at which texts choose among each other


@dataclass(frozen=True)
class Lesson:
    """What one batch is asked beside its captions.

    Attributes:
        texts: names of kinds, then texts of the vocabulary. t = k + n.
        likely: probability of each kind on each photo, float32, shape (b, k). A row without
            knowledge is zero.
        related: cosines of the vocabulary texts for the teacher, float32, shape (n, n).
    """

    texts: tuple[str, ...]
    likely: Tensor
    related: Tensor

    def loss(self, photos: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
        """Return what the embeddings (b, d) and (t, d) still lack, a scalar."""
        kinds = self.likely.shape[1]
        total = photos.new_zeros(())
        if kinds:
            total = total + kind_loss(similarity_logits(photos, texts[:kinds], scale), self.likely)
        if len(self.related):
            total = total + relation_loss(texts[kinds:], self.related)
        return total


def kind_loss(logits: Tensor, likely: Tensor) -> Tensor:
    """Return how badly names find the photos they are on, and photos their names; a scalar.

    The cross-entropy of the softmax over the photos (and over the kinds) against the
    classifier's probabilities, normalised. A kind or photo counts as much as its probability
    adds up to, at most 1: what is not on any photo is not looked for.

    Args:
        logits: temperature times cosine, float32, shape (b, k).
        likely: shape (b, k).
    """
    total = logits.new_zeros(())
    for dim in (0, 1):
        mass = likely.sum(dim)
        target = likely / mass.clamp(min=CLEAR).unsqueeze(dim)
        weight = mass.clamp(max=1.0)
        missing = -(target * logits.log_softmax(dim)).sum(dim)
        total = total + (weight * missing).sum() / weight.sum().clamp(min=1.0)
    return total / 2


def relation_loss(texts: Tensor, related: Tensor) -> Tensor:
    """Return how differently texts choose among each other than they do for the teacher; a scalar.

    Args:
        texts: embeddings of any length, shape (n, d).
        related: the teacher's cosines, shape (n, n).

    Source: Passalis and Tefas 2018 (arXiv 1803.10837), with softmax kernels.
    """
    vectors = F.normalize(texts.float(), dim=-1)
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    student = (SHARPNESS * vectors @ vectors.T).masked_fill(itself, -1e4).log_softmax(1)
    teacher = (SHARPNESS * related).masked_fill(itself, -1e4).log_softmax(1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)


class Kinds:
    """How likely each kind is on each photo of the training set.

    Args:
        path: the file.
        photos: of the training set, in its order.

    Raises:
        PairsInvalid: the file is missing or of another form, or knows none of the photos.
    """

    def __init__(self, path: Path, photos: Sequence[Path]) -> None:
        tensors, metadata = _read(path, ("probabilities", "members"), ("photos", "names"))
        row = {(path.parent / name).resolve(): n for n, name in enumerate(metadata["photos"])}
        places = [row.get(photo.resolve(), -1) for photo in photos]
        self._row = np.array(places)
        if (self._row < 0).all():
            raise PairsInvalid(f"'{path}' knows none of the {len(photos)} photos of the pairs")
        self._probabilities = tensors["probabilities"].float()
        self._members = tensors["members"].float()
        self._names: list[list[str]] = metadata["names"]

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> tuple[list[str], Tensor]:
        """Choose kinds for a batch and name them; return their probabilities too. (b, k).

        Half of the kinds are drawn from those that are on the photos, half from all.
        """
        known = torch.from_numpy(self._row[rows])
        likely = self._probabilities[known] @ self._members.T  # (b, all kinds)
        likely[known < 0] = 0.0
        mass = likely.sum(0).clamp(max=1.0).double().numpy() + 1e-9
        count = min(KINDS, len(mass))
        there = rng.choice(len(mass), count // 2, replace=False, p=mass / mass.sum())
        others = np.setdiff1d(np.arange(len(mass)), there)
        chosen = np.concatenate([there, rng.choice(others, count - len(there), replace=False)])
        names = [str(rng.choice(self._names[kind])) for kind in chosen]
        return names, likely[:, torch.from_numpy(chosen)]


class Vocabulary:
    """Texts and what a teacher makes of them.

    Raises:
        PairsInvalid: the file is missing or of another form.
    """

    def __init__(self, path: Path) -> None:
        tensors, metadata = _read(path, ("vectors",), ("texts",))
        self._vectors, self._texts = tensors["vectors"].float(), metadata["texts"]

    def draw(self, rng: np.random.Generator) -> tuple[list[str], Tensor]:
        """Choose texts; return them and their cosines, shape (n, n)."""
        chosen = rng.choice(len(self._texts), min(TEXTS, len(self._texts)), replace=False)
        vectors = self._vectors[torch.from_numpy(chosen)]
        return [self._texts[text] for text in chosen], vectors @ vectors.T


class Lessons:
    """The lessons of a run, one a batch, decided by (seed, batch) alone.

    Args:
        kinds: what is on the photos, if that is taught.
        vocabulary: what words mean, if that is taught.
        phrase: puts a bare name into a sentence.
    """

    def __init__(
        self,
        kinds: Kinds | None,
        vocabulary: Vocabulary | None,
        phrase: Callable[[str, np.random.Generator], str],
    ) -> None:
        self._kinds, self._vocabulary, self._phrase = kinds, vocabulary, phrase

    def draw(self, rows: NDArray[np.int64], seed: int) -> Lesson | None:
        """Return the lesson of a batch of photos; None if there is nothing to teach."""
        if self._kinds is None and self._vocabulary is None:
            return None
        rng = np.random.default_rng([seed, 1])
        names: list[str] = []
        texts: list[str] = []
        likely, related = torch.zeros(len(rows), 0), torch.zeros(0, 0)
        if self._kinds is not None:
            names, likely = self._kinds.draw(rows, rng)
        if self._vocabulary is not None:
            texts, related = self._vocabulary.draw(rng)
        phrased = [self._phrase(name, rng) for name in names]
        return Lesson((*phrased, *texts), likely, related)


def _read(
    path: Path, wanted: Sequence[str], facts: Sequence[str]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and JSON facts of a file.

    Raises:
        PairsInvalid: one of them is missing, or the file is.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in wanted}
        return tensors, {name: json.loads(metadata[name]) for name in facts}
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise PairsInvalid(
            f"'{path}' cannot be used: {error}; a safetensors file with {', '.join(wanted)} and "
            f"the metadata {', '.join(facts)} is needed"
        ) from error

"""Train the detectors of style attributes by logistic regression on the photos' own pixels.

Each photo is shown as it is, grey, darker, brighter and in stronger colours, so that a style is
separated from the content. A photo whose pixels leave an attribute open is not used for it. Photos
with an attribute and photos without it have the same total weight.

Shapes: p photos, d length of a token.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.nn import functional as F

from indexer.core.encoder import TokenEncoder
from indexer.core.errors import FileUnreadable
from retrieval.builtin_reranker.style_detectors import StyleDetectors, no_looks
from retrieval.builtin_reranker.training.features import Progress, unwatched
from retrieval.builtin_reranker.word_detectors import Floats, looked
from retrieval.instructions.caption_labels import looks_of
from retrieval.instructions.templates import LOOK, Attribute, InstructionTemplates
from retrieval.models.torch_encoder import batches
from retrieval.pairs import Pair

PHOTOS = 1_000
"""Photos that looks are learned from: those of a learner with fewer, all of them."""

_BATCH = 50
_DARKER, _BRIGHTER, _STRONGER = 0.45, 1.7, 2.5  # factors of brightness and colour
_FEWEST = 5  # photos that look so, and that do not
_DECAY, _STEPS = 0.01, 100
_FLAT = 1e-3  # spread below which a number tells nothing


def learn_looks(
    encoder: TokenEncoder,
    pairs: Sequence[Pair],
    grammar: InstructionTemplates,
    seed: int = 0,
    progress: Progress = unwatched,
) -> StyleDetectors:
    """Learn a detector for each look of the grammar that some photos have and others lack.

    Args:
        encoder: gives the tokens.
        pairs: photos, of which some are drawn; those that cannot be read are left out.
        grammar: names the looks.
        seed: of the draw.
        progress: called after each batch of photos.
    """
    looks = [each for each in grammar.attributes if each.family == LOOK]
    order = np.random.default_rng(seed).permutation(len(pairs))[:PHOTOS]
    seen, told = _shown(encoder, [pairs[number] for number in order], looks, progress)
    found = [
        ((look.phrase, *look.words), labels)
        for look, labels in zip(looks, told.T, strict=True)
        if min((labels == 1).sum(), (labels == -1).sum()) >= _FEWEST
    ]
    if not found:
        return no_looks()
    fits = [fitted(seen, labels) for _, labels in found]
    return StyleDetectors(
        names=tuple(names for names, _ in found),
        weights=np.stack([weights for weights, _ in fits]),
        bias=np.array([bias for _, bias in fits], dtype=np.float32),
    )


def fitted(seen: Floats, labels: NDArray[np.int8]) -> tuple[Floats, float]:
    """Fit one detector: its weights, shape (4d,), and its bias.

    Args:
        seen: what is looked at. Shape (p, 4d).
        labels: 1, -1, or 0 where that is open. Shape (p,).
    """
    told = labels != 0
    x, wanted = torch.from_numpy(seen[told]), torch.from_numpy(labels[told] == 1).float()
    mean, spread = x.mean(dim=0), x.std(dim=0).clamp(min=_FLAT)
    x = (x - mean) / spread
    weight = torch.where(wanted == 1, 0.5 / wanted.mean(), 0.5 / (1.0 - wanted.mean()))
    detector = torch.zeros(x.shape[1] + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([detector], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = x @ detector[:-1] + detector[-1]
        missed = F.binary_cross_entropy_with_logits(logits, wanted, weight=weight)
        total = missed + _DECAY * detector[:-1].square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    weights = detector.detach()[:-1] / spread
    found: Floats = weights.numpy()
    return found, float(detector.detach()[-1] - weights @ mean)


def _shown(
    encoder: TokenEncoder,
    pairs: Sequence[Pair],
    looks: Sequence[Attribute],
    progress: Progress,
) -> tuple[Floats, NDArray[np.int8]]:
    """Return what is looked at of all photos, (p, 4d), and how they look, (p, looks)."""
    seen: list[Floats] = []
    told: list[list[int]] = []
    for number, batch in enumerate(batches(pairs, _BATCH)):
        photos = [altered for pair in batch for altered in _altered(pair)]
        if photos:
            _, tokens = encoder.encode_with_tokens(photos)
            seen.append(looked(tokens))
        for photo in photos:
            looks_so = looks_of(photo)
            told.append([looks_so[look.phrase] for look in looks])
        progress(number * _BATCH + len(batch), len(pairs))
    labels = np.array(told, dtype=np.int8).reshape(-1, len(looks))
    return np.concatenate(seen) if seen else np.zeros((0, 0), dtype=np.float32), labels


def _altered(pair: Pair) -> list[Image.Image]:
    """Return a photo as it is and in other looks; nothing of one that cannot be read."""
    try:
        photo = pair.open()
    except FileUnreadable:
        return []
    return [
        photo,
        photo.convert("L").convert("RGB"),
        ImageEnhance.Brightness(photo).enhance(_DARKER),
        ImageEnhance.Brightness(photo).enhance(_BRIGHTER),
        ImageEnhance.Color(photo).enhance(_STRONGER),
    ]

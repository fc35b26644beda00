"""Prompt ensembling: a bare name is encoded as the mean of several sentences about it.

"golden retriever" is shorter than any caption in a model's training data. "a photo of a golden
retriever" is nearer to photos, and the mean over several such sentences is nearer still.

Source: Radford et al. 2021, CLIP (arXiv 2103.00020), section 3.1.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexer.core.encoder import Encoder, Vectors
from retrieval._resources import resource

MAX_WORDS = 3
"""A name has so many words at most; more are a caption of their own."""

_ARTICLES = ("a", "an", "the")


def is_name(text: str) -> bool:
    """Return whether a query is short enough for sentences about it."""
    return 0 < len(_bare(text).split()) <= MAX_WORDS


def ensemble(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """Embed names, each as the normalised mean of its sentences. Shape (texts, dim)."""
    templates = prompts()
    sentences = [template.replace("{}", _bare(text)) for text in texts for template in templates]
    vectors = encoder.encode_texts(sentences)  # (texts * templates, dim)
    means = vectors.reshape(len(texts), len(templates), encoder.dim).mean(axis=1)  # (texts, dim)
    unit: Vectors = means / np.linalg.norm(means, axis=1, keepdims=True)
    return unit


def prompts() -> list[str]:
    """Return the sentences that ship with twinlens; `{}` stands for the name."""
    lines = resource("prompts.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if "{}" in line]


def _bare(text: str) -> str:
    """Drop a leading article: the sentences bring their own."""
    first, _, rest = text.strip().partition(" ")
    return rest.strip() if rest and first.lower() in _ARTICLES else text.strip()

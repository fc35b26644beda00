"""Rerankers by name."""

from __future__ import annotations

from pathlib import Path

import torch

from indexer.encoder import Encoder
from retrieval.models.encoder import TowerEncoder
from retrieval.reranking.config import CONFIG, reads_with
from retrieval.reranking.protocol import Reranker
from retrieval.reranking.reranker import load_token_reranker
from retrieval.shipped import shipped

BUILTIN = "builtin"


def default_reranker(encoder: Encoder) -> Reranker | None:
    """Return the reranker that ships, if it reads with this encoder; else None."""
    try:
        folder = shipped("reranker")
    except FileNotFoundError:
        return None
    if reads_with(folder) != encoder.fingerprint:
        return None
    return load_token_reranker(folder, encoder, BUILTIN)


def load_reranker(spec: str, encoder: Encoder) -> Reranker:
    """Load a reranker by its spec.

    Args:
        spec: `builtin`; a folder that `twinlens train-reranker` wrote; a folder or hub id of
            Hugging Face Transformers.
        encoder: the dual encoder that it stands behind.

    Raises:
        ModelUnavailable: no such reranker, its files are not here, or it needs another encoder.
    """
    if spec == BUILTIN:
        return load_token_reranker(shipped("reranker"), encoder, BUILTIN)
    folder = Path(spec).expanduser()
    if (folder / CONFIG).is_file():
        return load_token_reranker(folder, encoder, str(folder))
    from retrieval.reranking.large import load_large_reranker

    device = encoder.device if isinstance(encoder, TowerEncoder) else torch.device("cpu")
    return load_large_reranker(spec, device)

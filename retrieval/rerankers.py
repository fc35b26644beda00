"""Rerankers by name. What a search does not use is not imported: it starts faster."""

from __future__ import annotations

from pathlib import Path

from indexer.core.encoder import Encoder, TokenEncoder
from retrieval._extras import require_torch
from retrieval._resources import resource
from retrieval.errors import ModelUnavailable
from retrieval.reranking.protocol import Reranker
from retrieval.reranking.score_fusion import CONFIG, reads_with

BUILTIN = "builtin"


def default_reranker(encoder: Encoder, *, instructed: bool = True) -> Reranker | None:
    """Return the shipped reranker, if it was trained for this encoder; else None."""
    try:
        folder = resource("reranker")
    except FileNotFoundError:
        return None
    if reads_with(folder) != encoder.fingerprint:
        return None
    return load_reranker(BUILTIN, encoder, instructed=instructed)


def load_reranker(spec: str, encoder: Encoder, *, instructed: bool = True) -> Reranker:
    """Load a reranker by its spec.

    Args:
        spec: `builtin`; a folder that `twinlens train-reranker` wrote; a folder or hub id of
            Hugging Face Transformers.
        encoder: the dual encoder of the first stage.
        instructed: whether it will be given instructions.

    Raises:
        ModelUnavailable: no such reranker, its files are missing, or it needs another encoder.
        ExtraMissing: it is one of transformers, and torch is not installed.
    """
    folder = _folder_of(spec)
    if folder is None:
        require_torch(f"the reranker '{spec}'")
        from retrieval.reranking.hf_reranker import device_of, load_large_reranker

        return load_large_reranker(spec, device_of(encoder))
    name = BUILTIN if spec == BUILTIN else str(folder)
    if instructed:
        from retrieval.builtin_reranker.instruction_reranker import load_token_reranker

        return load_token_reranker(folder, encoder, name)
    if not isinstance(encoder, TokenEncoder):
        raise ModelUnavailable(
            f"the reranker {name!r} does not work with the model {encoder.name!r}"
        )
    from retrieval.builtin_reranker.query_reranker import load_word_reranker

    return load_word_reranker(folder, encoder, name)


def reranker_needs_torch(spec: str) -> bool:
    """Return whether a reranker needs torch, and an encoder in torch."""
    return _folder_of(spec) is None


def _folder_of(spec: str) -> Path | None:
    """Return the folder of a reranker of twinlens; None for one of transformers."""
    folder = resource("reranker") if spec == BUILTIN else Path(spec).expanduser()
    return folder if (folder / CONFIG).is_file() or spec == BUILTIN else None

"""Dual encoders: towers, tokenizers, checkpoints, and where they come from.

The names are loaded when they are first used: half of this package does without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval.lazy import loader

if TYPE_CHECKING:
    from retrieval.models.encoder import TowerEncoder
    from retrieval.models.folder import BUILTIN
    from retrieval.models.model import Model
    from retrieval.models.registry import load_encoder, load_model

__all__ = ["BUILTIN", "Model", "TowerEncoder", "load_encoder", "load_model"]

__getattr__ = loader(
    __name__,
    {
        "retrieval.models.encoder": ("TowerEncoder",),
        "retrieval.models.folder": ("BUILTIN",),
        "retrieval.models.model": ("Model",),
        "retrieval.models.registry": ("load_encoder", "load_model"),
    },
)

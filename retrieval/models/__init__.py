"""Dual encoders: towers, tokenizers and checkpoints, and how they are loaded.

Names are loaded when they are first used, because half of this package works without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval._lazy import loader

if TYPE_CHECKING:
    from retrieval.models.loaded_model import Model
    from retrieval.models.model_folder import BUILTIN
    from retrieval.models.registry import load_encoder, load_model
    from retrieval.models.torch_encoder import TorchEncoder

__all__ = ["BUILTIN", "Model", "TorchEncoder", "load_encoder", "load_model"]

__getattr__ = loader(
    __name__,
    {
        "retrieval.models.torch_encoder": ("TorchEncoder",),
        "retrieval.models.model_folder": ("BUILTIN",),
        "retrieval.models.loaded_model": ("Model",),
        "retrieval.models.registry": ("load_encoder", "load_model"),
    },
)

"""Write the towers of a model to a folder, and read them back.

```
FOLDER/
  config.json         format, architecture, image preprocessing, storage; optional: hubness
  model.safetensors   weights, float16 unless the storage says otherwise
  tokenizer.json      for the built-in architecture
  train.json          how the model was trained
  README.md           the model card, if there is one
  *_bank.safetensors  reference vectors, if there are any; see `retrieval.models.reference_vectors`
```

Only search reads the setting `hubness`; changing it does not make another model.

Storage `int8` stores each matrix as int8 with one float16 scale per row (name + `:scale`), half the
size of float16. Matrices become float32 again when they are read.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from indexer.core.atomic_io import replacing
from indexer.core.types import Hubness
from retrieval._enums import WeightStorage
from retrieval.errors import ModelUnavailable
from retrieval.models.dual_encoder import (
    DualEncoder,
    DualEncoderConfig,
    ImageTowerConfig,
    TextTowerConfig,
)
from retrieval.models.loaded_model import Model, TensorTokenizer
from retrieval.models.model_folder import (
    CONFIG,
    FORMAT,
    HUBNESS,
    TOKENIZER,
    WEIGHTS,
    describe,
    file_fingerprint,
)
from retrieval.models.pixels import Preprocess
from retrieval.models.tokenizer import WordPieceTokenizer

_SCALE = ":scale"


def save_checkpoint(
    model: Model, folder: Path, storage: WeightStorage = WeightStorage.FLOAT16
) -> None:
    """Write a model into a folder: weights first, the config that names them last."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = save(pack(model.module.state_dict(), storage))
    with replacing(folder / WEIGHTS) as part:
        part.write_bytes(weights)  # a file of save_file's would be for its owner alone
    if model.tokenizer_file is not None and model.tokenizer_file != folder / TOKENIZER:
        with replacing(folder / TOKENIZER) as part:
            shutil.copyfile(model.tokenizer_file, part)
    config = {
        "format": FORMAT,
        "storage": storage,
        "architecture": model.architecture,
        "image": asdict(model.image),
    }
    if model.hubness != Hubness():
        config[HUBNESS] = asdict(model.hubness)
    with replacing(folder / CONFIG) as part:
        part.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_checkpoint(folder: Path, name: str | None = None) -> Model:
    """Read a model from a folder that `save_checkpoint` wrote.

    Raises:
        ModelUnavailable: a file is missing, broken, of a newer format or does not fit.
    """
    said = describe(folder)
    try:
        weights = unpack(load_file(folder / WEIGHTS))
        module, tokenize, dim = _rebuild(said.architecture, folder)
        module.load_state_dict(weights)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelUnavailable(
            f"model '{folder}' is damaged or of another kind: {error}"
        ) from error
    module.eval()
    return Model(
        name=name or str(folder),
        module=module,
        tokenize=tokenize,
        preprocess=Preprocess(said.image),
        image=said.image,
        architecture=said.architecture,
        dim=dim,
        fingerprint=file_fingerprint(said.fingerprinted, folder / WEIGHTS),
        tokenizer_file=folder / TOKENIZER if (folder / TOKENIZER).exists() else None,
        hubness=said.hubness,
        folder=folder,
    )


def twin_config(architecture: dict[str, Any]) -> DualEncoderConfig:
    """Rebuild the configuration of the built-in architecture from its JSON form."""
    return DualEncoderConfig(
        image=ImageTowerConfig(**architecture["image"]),
        text=TextTowerConfig(**architecture["text"]),
        dim=architecture["dim"],
        hidden=architecture["hidden"],
        code=architecture.get("code", 0),
        known=architecture.get("known", 0.0),
    )


def pack(state: dict[str, Tensor], storage: WeightStorage) -> dict[str, Tensor]:
    """Return the tensors as they lie on disk."""
    packed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        whole = tensor.detach().cpu().contiguous()
        if storage == WeightStorage.INT8 and whole.ndim >= 2 and len(whole) >= 16:
            packed |= _quantize(name, whole)
        elif storage == WeightStorage.FLOAT32 or not whole.is_floating_point():
            packed[name] = whole
        else:
            packed[name] = whole.half()
    return packed


def unpack(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return float32 weights from the tensors on disk; the inverse of `pack`."""
    state: dict[str, Tensor] = {}
    for name, tensor in packed.items():
        if name.endswith(_SCALE):
            continue
        scale = packed.get(name + _SCALE)
        if scale is not None:
            rows = tensor.flatten(1).float() * scale.float()[:, None]
            state[name] = rows.view(tensor.shape)
        else:
            state[name] = tensor.float() if tensor.is_floating_point() else tensor
    return state


def _quantize(name: str, matrix: Tensor) -> dict[str, Tensor]:
    """Store each row as int8 times a float16 scale."""
    rows = matrix.flatten(1).float()
    scale = (rows.abs().amax(dim=1) / 127.0).clamp(min=1e-7).half()
    whole = (rows / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
    return {name: whole.view(matrix.shape), name + _SCALE: scale}


def _rebuild(architecture: dict[str, Any], folder: Path) -> tuple[nn.Module, Any, int]:
    """Make the module, its tokenizer and its dimension, without weights."""
    if architecture["family"] == "open_clip":
        from retrieval.models.open_clip_models import build_architecture

        return build_architecture(architecture["name"])
    config = twin_config(architecture)
    words = WordPieceTokenizer(folder / TOKENIZER, config.text.context)
    return DualEncoder(config), TensorTokenizer(words), config.dim

"""The reference vectors of a model: generic texts and photos that measure hubness.

A model's folder may contain them, one file per kind:

```
FOLDER/
  photo_bank.safetensors   `vectors` float16 (n, dim); metadata: fingerprint of the weights
  text_bank.safetensors    likewise
```

Without the text file, the generic captions that ship with twinlens are embedded, which takes about
ten seconds on a CPU. Without the photo file, a search for texts by photo is not corrected.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from indexer.core.atomic_io import replacing
from indexer.core.encoder import Vectors
from indexer.core.types import Kind
from retrieval._resources import resource
from retrieval.errors import ModelUnavailable


def bank_file(folder: Path, kind: Kind) -> Path:
    """Return where the reference vectors of a kind are in a model's folder, if there is one."""
    return folder / f"{kind}_bank.safetensors"


def generic_captions() -> list[str]:
    """Return the captions that ship with twinlens: of anything, one a line."""
    lines = resource("captions.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]


def nearest_caption(bank: Vectors, vector: Vectors) -> str:
    """Return the generic caption whose vector is nearest; empty where a bank lacks them.

    Args:
        bank: vectors of texts, those of the generic captions first. Shape (bank, dim).
        vector: of unit length. Shape (dim,).
    """
    captions = generic_captions()
    if len(bank) < len(captions):
        return ""
    return captions[int(np.argmax(bank[: len(captions)] @ vector))]


def save_bank(path: Path, vectors: Vectors, *, fingerprint: str) -> None:
    """Write reference vectors of the model with this fingerprint. Shape (bank, dim)."""
    tensors = {"vectors": vectors.astype(np.float16)}
    with replacing(path) as part:
        part.write_bytes(save(tensors, metadata={"fingerprint": fingerprint}))


def load_bank(path: Path, *, fingerprint: str, dim: int) -> Vectors:
    """Read the vectors that `save_bank` wrote. Shape (bank, dim).

    Raises:
        ModelUnavailable: the file is broken, or was made with other weights.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            made_with = (file.metadata() or {}).get("fingerprint", "")
            vectors: Vectors = file.get_tensor("vectors").astype(np.float32)
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise ModelUnavailable(f"{path} is broken ({error}); {_WAY_OUT}") from error
    if made_with != fingerprint or vectors.shape[1:] != (dim,):
        raise ModelUnavailable(
            f"{path} was made with other weights ({made_with[:12]}) than the model beside it "
            f"({fingerprint[:12]}); {_WAY_OUT}"
        )
    return vectors


_WAY_OUT = "rebuild it with scripts/photo_bank.py or scripts/text_bank.py, or delete it"

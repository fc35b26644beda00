"""A tiny architecture that open_clip builds with its own classes, and weights of it in a file.

All architectures of open_clip of this family share their code: layers and widths alone differ.
"""

from __future__ import annotations

from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

TINY_CLIP = "tiny-clip"
IMAGE_LAYERS, TEXT_LAYERS = 2, 3
DIM, PIXELS = 24, 32

open_clip.add_model_config(Path(__file__).with_name(f"{TINY_CLIP}.json"))


def tiny_clip(folder: Path, seed: int = 0) -> Path:
    """Write random weights of it into a folder; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    file = folder / "weights.safetensors"
    save_file(open_clip.create_model(TINY_CLIP).state_dict(), file)
    return file

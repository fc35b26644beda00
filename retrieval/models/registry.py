"""Load models by name: `load_model` for training, `load_encoder` for encoding with torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from retrieval._extras import require_torch
from retrieval.errors import ModelUnavailable
from retrieval.models.model_catalog import is_pair_on_hub, spec_of
from retrieval.models.model_folder import BUILTIN, folder_of
from retrieval.models.onnx_pair import onnx_pair_of

if TYPE_CHECKING:
    from retrieval.models.loaded_model import Model
    from retrieval.models.torch_encoder import TorchEncoder


def load_model(spec: str = BUILTIN) -> Model:
    """Load a dual encoder by its spec.

    Args:
        spec: `builtin`; a folder that `twinlens train` wrote; `ARCH/TAG` or `ARCH/FILE` of
            open_clip; `hf-hub:ORG/NAME`; or a short name of `twinlens models`.

    Raises:
        ModelUnavailable: no such model, or its files are not here and cannot be fetched.
        ExtraMissing: torch is not installed.
    """
    spec = spec_of(spec)
    if is_pair_on_hub(spec) or onnx_pair_of(spec):
        raise ModelUnavailable(
            f"'{spec}' is a pair of ONNX files: it indexes and searches on a CPU, but cannot be "
            "trained, nor run on a GPU; give it as --model to index and search"
        )
    known = folder_of(spec)
    if known is not None:
        require_torch(f"running the model '{spec}' in torch")
        from retrieval.models.checkpoint import load_checkpoint

        return load_checkpoint(known, name=BUILTIN if spec == BUILTIN else str(known.resolve()))
    folder = Path(spec).expanduser()
    if folder.is_dir() or spec.startswith((".", "~", "/")) or "/" not in spec.strip("/"):
        raise ModelUnavailable(
            f"no model '{spec}': use 'builtin', a folder written by `twinlens train`, "
            "ARCH/TAG or ARCH/FILE of open_clip, or hf-hub:ORG/NAME"
        )
    require_torch(f"the model '{spec}'")
    from retrieval.models.open_clip_models import load_open_clip

    return load_open_clip(spec)


def load_encoder(spec: str = BUILTIN, device: str = "auto") -> TorchEncoder:
    """Load a model by its spec (see `load_model`), ready to encode on `device` in torch."""
    model = load_model(spec)
    from retrieval.models.torch_encoder import TorchEncoder

    return TorchEncoder(model, device)

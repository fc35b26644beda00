"""Large rerankers of Hugging Face Transformers behind the reranker protocol.

A file `fusion.json` beside the model may give its fusion weights, tuned on validation data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from PIL import Image
from safetensors import SafetensorError

from indexer.core.atomic_io import replacing
from indexer.core.encoder import Encoder, TokenShape
from indexer.core.errors import UsageError
from retrieval.errors import ModelUnavailable
from retrieval.models.data_only import data_only
from retrieval.models.hub import FAILURES, unlogged
from retrieval.models.torch_encoder import TorchEncoder, batches
from retrieval.reranking.hf_files import MATCHING, class_of, find_large
from retrieval.reranking.hf_models import HfModel, ImageTextMatching, YesNo
from retrieval.reranking.protocol import ImageFeatures, QueryInstruction
from retrieval.reranking.score_fusion import FusionWeights, Scores

FUSION = "fusion.json"

DEFAULT = FusionWeights(text_to_image=0.01, image_to_text=0.01, instructed=0.01)
"""Where nothing was tuned: ten logits more move a candidate by 0.1 of cosine.

Within a pool, logits differ by some units and cosines by some hundredths: neither overrules the
other.
"""

_DATA_ONLY = {"trust_remote_code": False, "local_files_only": True}
"""A folder may name another model, which would be fetched, or code of its own."""

_BROKEN = (
    *(*FAILURES, TypeError, AttributeError, SafetensorError, StrictDataclassError),
    *(EOFError, UnpicklingError),
)


class HfReranker:
    """Reranks with a large model.

    Args:
        judge: the model.
        fusion: how its scores count beside the first stage's.
        name: what a person calls it.
    """

    def __init__(self, judge: HfModel, fusion: FusionWeights, name: str) -> None:
        self.name, self.fusion = name, fusion
        self._judge = judge

    @property
    def token_shape(self) -> TokenShape | None:
        """None: it reads photos, and a library keeps nothing for it."""
        return None

    @torch.inference_mode()
    def look(self, photos: Sequence[Image.Image]) -> Sequence[ImageFeatures]:
        """Prepare RGB photos for `score`."""
        return self._judge.look(photos)

    def cuts(self, instruction: str) -> bool:
        """Return whether an instruction is longer than it reads."""
        return self._judge.cuts(instruction)

    @torch.inference_mode()
    def score(self, asked: Sequence[QueryInstruction], sights: Sequence[ImageFeatures]) -> Scores:
        """Score pairs of texts and photos, in logits. Shape (couples,)."""
        size = self._judge.batch
        parts = [
            self._judge.judge(some, seen).double().cpu().numpy()
            for some, seen in zip(batches(asked, size), batches(sights, size), strict=True)
        ]
        return np.concatenate([np.zeros(0), *parts])


def load_large_reranker(spec: str, device: torch.device) -> HfReranker:
    """Load a reranker of Hugging Face Transformers.

    Args:
        spec: a folder, or an id on the hub (`ORG/NAME`).
        device: with CUDA it computes in bfloat16, else in float32.

    Raises:
        ModelUnavailable: it is not here and cannot be fetched, is damaged or of another class.
    """
    folder = find_large(spec)
    return HfReranker(load_judge(folder, device), read_fusion(folder), spec)


def device_of(encoder: Encoder) -> torch.device:
    """Return where an encoder runs: its reranker runs there, too."""
    return encoder.device if isinstance(encoder, TorchEncoder) else torch.device("cpu")


def load_judge(folder: Path, device: torch.device) -> HfModel:
    """Load the model of a folder.

    Raises:
        ModelUnavailable: its files are damaged, or its weights are of another model.
    """
    import transformers

    name = class_of(folder)
    matching = name == MATCHING
    reads = transformers.BlipProcessor if matching else transformers.Qwen3VLProcessor
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    try:
        with quiet(), data_only():
            processor = reads.from_pretrained(folder, **_DATA_ONLY)
            module, found = getattr(transformers, name).from_pretrained(
                folder, dtype=dtype, output_loading_info=True, weights_only=True, **_DATA_ONLY
            )
    except _BROKEN as error:
        raise ModelUnavailable(
            f"the reranker in '{folder}' cannot be loaded: {_said(error)}"
        ) from error
    if found["missing_keys"]:
        lacks = min(found["missing_keys"])
        raise ModelUnavailable(f"the weights in '{folder}' are not those of a {name}: no {lacks}")
    module.to(device).eval().requires_grad_(False)
    return ImageTextMatching(module, processor) if matching else YesNo(module, processor)


def _said(error: BaseException) -> str:
    """Say as one line why a model cannot be loaded."""
    if isinstance(error, UnpicklingError):
        return "its weights are not plain numbers; save them as model.safetensors"
    return " ".join(str(error).split())


@contextmanager
def quiet() -> Iterator[None]:
    """Keep log lines and bars of the package transformers off the terminal."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with unlogged():
            yield
    finally:
        if shown:
            logging.enable_progress_bar()


def read_fusion(folder: Path) -> FusionWeights:
    """Return the weights in `fusion.json`, or `DEFAULT` where there is none.

    Raises:
        ModelUnavailable: the file is broken.
    """
    try:
        return FusionWeights(**json.loads((folder / FUSION).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return DEFAULT
    except (OSError, ValueError, TypeError, UsageError) as error:
        raise ModelUnavailable(f"'{folder / FUSION}' cannot be used: {error}") from error


def save_fusion(fusion: FusionWeights, folder: Path) -> None:
    """Write the weights beside a model."""
    with replacing(folder / FUSION) as part:
        part.write_text(json.dumps(asdict(fusion), indent=2) + "\n", encoding="utf-8")

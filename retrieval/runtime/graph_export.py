"""Export a model of open_clip to OpenVINO graphs. Only this module of the runtime imports torch."""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.tokenizer import SimpleTokenizer, default_bpe
from open_clip.transformer import text_global_pool
from openvino.tools.ovc import convert_model
from torch import Tensor, nn
from torch.nn import functional as F

from indexer.core.atomic_io import replacing
from retrieval.models.clip_tokenizer import ClipTokenizer, write_clip_words
from retrieval.models.loaded_model import Model
from retrieval.models.reference_vectors import generic_captions
from retrieval.runtime.graph import bytes_pay
from retrieval.runtime.graph_cache import GraphCache, ModelInfo, TokenizerKind, Tower
from retrieval.runtime.graph_writing import Inputs, Refused, write_checked
from retrieval.runtime.probes import TEXTS, probe_photos
from retrieval.runtime.weight_quantization import with_weights_in_bytes

PROBES = 200  # captions that both tokenizers must cut alike


def describe_model(model: Model) -> ModelInfo:
    """Say what a model of open_clip is, so that torch need not be asked again."""
    context = model.tokenize(["a"]).shape[1]
    return ModelInfo(
        name=model.name,
        fingerprint=model.fingerprint,
        dim=model.dim,
        image=model.image,
        tokens=None,
        hubness=model.hubness,
        words=TokenizerKind.CLIP if _reads_like_clip(model, context) else None,
        context=context,
    )


def export_part(model: Model, folder: GraphCache, part: Tower) -> None:
    """Write a tower of a model into the folder of an exported model, or why it stays with torch.

    Whoever is killed here leaves no graph, or the whole of it.
    """
    folder.make()
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing warns of what the comparison below proves
            if part == Tower.IMAGES:
                _export_images(model, folder)
            else:
                _export_texts(model, folder)
    except (Refused, RuntimeError, ValueError, TypeError, AttributeError) as error:
        with replacing(folder.refusal(part)) as file:
            file.write_text(f"{error}\n", encoding="utf-8")


class _Images(nn.Module):
    """Pixels as they come from a photo → a unit vector."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.towers, self.embed = model.module, model.towers.encode_image  # the first registers
        self.mean = 255.0 * torch.tensor(model.image.mean).view(3, 1, 1)
        self.std = 255.0 * torch.tensor(model.image.std).view(3, 1, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map uint8 (b, s, s, 3) to (b, d)."""
        # Planes first: as the last dimension, three colours fill no vector of the CPU's.
        x = (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std
        return F.normalize(self.embed(x), dim=-1)


class _ClipTexts(nn.Module):
    """open_clip's causal text tower, given the vectors of its words and no more of them than used.

    What stands after the end-of-text token is never looked at: it is left out.
    """

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.tower = module if isinstance(module, open_clip.CLIP) else module.text
        named = "text_{}" if isinstance(module, open_clip.CLIP) else "{}"
        self.pool = getattr(self.tower, named.format("pool_type"))
        self.end = getattr(self.tower, named.format("eos_id"), None)
        if self.tower.attn_mask is None or getattr(self.tower, "cls_emb", None) is not None:
            raise Refused("its text tower looks ahead, so texts cannot be cut at their end")

    def forward(self, embedded: Tensor, ids: Tensor) -> Tensor:
        """Map (b, n, w) and ids (b, n) to (b, d)."""
        tower, n = self.tower, ids.shape[1]
        x = embedded + tower.positional_embedding[:n]
        x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask[:n, :n]))
        pooled = text_global_pool(x, ids, self.pool, eos_token_id=self.end)
        project = tower.text_projection
        pooled = project(pooled) if isinstance(project, nn.Linear) else pooled @ project
        return F.normalize(pooled, dim=-1)


def _export_images(model: Model, folder: GraphCache) -> None:
    """Write the image tower, once its graph agrees with torch."""
    photos = probe_photos(model.image.size)
    want = F.normalize(
        model.towers.encode_image(torch.stack([model.preprocess(each) for each in photos])), dim=-1
    )
    pixels = np.stack([model.image.pixels(each) for each in photos])
    _write(_Images(model).eval(), folder, Tower.IMAGES, (pixels,), want)


def _export_texts(model: Model, folder: GraphCache) -> None:
    """Write the text tower, its tokenizer and the vectors of its words."""
    with replacing(folder.pairs) as part:
        write_clip_words(Path(default_bpe()), part)
    tower = _ClipTexts(model.module)
    embedding = tower.tower.token_embedding
    want = F.normalize(model.towers.encode_text(model.tokenize(TEXTS)), dim=-1)
    ids = ClipTokenizer(folder.pairs, model.tokenize(["a"]).shape[1]).ids(TEXTS)
    with replacing(folder.words) as part, part.open("wb") as file:
        np.save(file, embedding.weight.detach().half().numpy())
    inputs = (embedding(torch.from_numpy(ids)).numpy(), ids)
    _write(tower.eval(), folder, Tower.TEXTS, inputs, want)


def _write(tower: nn.Module, folder: GraphCache, part: Tower, inputs: Inputs, want: Tensor) -> None:
    """Trace a tower into a graph, compare it with torch, and put it in its place.

    Raises:
        Refused: its vectors are not torch's.
    """
    graph = convert_model(tower, example_input=tuple(map(torch.from_numpy, inputs)))
    in_bytes = part == Tower.IMAGES and bytes_pay(many=True)
    forms = [with_weights_in_bytes(graph), graph] if in_bytes else [graph]
    write_checked(forms, folder, part, inputs, want.numpy())


def _reads_like_clip(model: Model, context: int) -> bool:
    """Return whether a model cuts texts as CLIP does."""
    if not isinstance(getattr(model.tokenize, "plain", None), SimpleTokenizer):
        return False
    texts = generic_captions()[:PROBES]
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "pairs.npy"
        write_clip_words(Path(default_bpe()), file)
        ids = ClipTokenizer(file, context).ids(texts)
    want = model.tokenize(texts).numpy()
    return bool((np.pad(ids, ((0, 0), (0, context - ids.shape[1]))) == want).all())

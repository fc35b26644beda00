"""Export a torch model to OpenVINO graphs. Only this module of the runtime imports torch."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import open_clip
import openvino as ov
import torch
from numpy.typing import NDArray
from open_clip.tokenizer import SimpleTokenizer, default_bpe
from open_clip.transformer import text_global_pool
from openvino.tools.ovc import convert_model
from torch import Tensor, nn
from torch.nn import functional as F

from indexer.core.atomic_io import replacing
from retrieval.models.clip_tokenizer import ClipTokenizer, write_clip_words
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.loaded_model import Model
from retrieval.models.reference_vectors import generic_captions
from retrieval.models.tokenizer import Tokenizer, WordPieceTokenizer
from retrieval.runtime.graph import Graph, bytes_pay
from retrieval.runtime.graph_cache import GraphCache, ModelInfo, TokenizerKind, Tower
from retrieval.runtime.probes import LEAST, TEXTS, probe_photos
from retrieval.runtime.weight_quantization import with_weights_in_bytes

PROBES = 200  # captions that both tokenizers must cut alike


class Refused(Exception):
    """Why a part of a model stays with torch."""


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
    """Pixels as they come from a photo → a unit vector, and image tokens if there are any."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.towers, self.embed = model.module, model.towers.encode_image
        self.mean = 255.0 * torch.tensor(model.image.mean).view(3, 1, 1)
        self.std = 255.0 * torch.tensor(model.image.std).view(3, 1, 1)

    def forward(self, pixels: Tensor) -> Any:
        """Map uint8 (b, s, s, 3) to (b, d), and (b, tokens, w)."""
        # Planes first: as the last dimension, three colours fill no vector of the CPU's.
        x = (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std
        if not isinstance(self.towers, DualEncoder):
            return F.normalize(self.embed(x), dim=-1)
        tower = self.towers.visual
        tokens = tower.tokens(x)
        return F.normalize(tower.embed(tokens), dim=-1), tower.summarise(tokens)


class _TwinTexts(nn.Module):
    """The built-in text tower, given the vectors of its words."""

    def __init__(self, towers: DualEncoder) -> None:
        super().__init__()
        self.tower = towers.text

    def forward(self, embedded: Tensor, ids: Tensor) -> Tensor:
        """Map (b, n, w) and ids (b, n) to (b, d)."""
        seen = ids != 0
        return F.normalize(self.tower.mean(self.tower.read(embedded, seen), seen), dim=-1)


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
    _write(_Images(model).eval(), folder, Tower.IMAGES, (pixels,), want.numpy())


def _export_texts(model: Model, folder: GraphCache) -> None:
    """Write the text tower, its tokenizer and the vectors of its words."""
    reader = _write_tokenizer(model, folder)
    tower: nn.Module
    if isinstance(model.module, DualEncoder):
        tower, embedding = _TwinTexts(model.module), model.module.text.embed
    else:
        tower = _ClipTexts(model.module)
        embedding = tower.tower.token_embedding
    want = F.normalize(model.towers.encode_text(model.tokenize(TEXTS)), dim=-1)
    ids = reader.ids(TEXTS)
    with replacing(folder.words) as part, part.open("wb") as file:
        np.save(file, embedding.weight.detach().half().numpy())
    inputs = (embedding(torch.from_numpy(ids)).numpy(), ids)
    _write(tower.eval(), folder, Tower.TEXTS, inputs, want.numpy())


def _write(
    tower: nn.Module,
    folder: GraphCache,
    part: Tower,
    inputs: Sequence[NDArray[Any]],
    want: NDArray[np.float32],
) -> None:
    """Trace a tower into a graph, compare it with torch, and put it in its place.

    Raises:
        Refused: its vectors are not torch's.
    """
    graph = convert_model(tower, example_input=tuple(map(torch.from_numpy, inputs)))
    in_bytes = part == Tower.IMAGES and bytes_pay()
    with TemporaryDirectory(dir=folder.path) as scratch:
        made = GraphCache(Path(scratch))
        for form in [with_weights_in_bytes(graph), graph] if in_bytes else [graph]:
            _save(form, made.graph(part))
            many = part == Tower.IMAGES
            tried = Graph(made.graph(part), compiled=made.compiled, streams=1, many=many)
            got = tried.run(*inputs)[0]
            agreement = float((got * want).sum(axis=1).min())
            if agreement >= LEAST:
                made.graph(part).with_suffix(".bin").replace(folder.graph(part).with_suffix(".bin"))
                made.graph(part).replace(folder.graph(part))
                return
    raise Refused(f"its vectors reach a cosine of {agreement:.4f} with torch's")


def _save(graph: ov.Model, file: Path) -> None:
    """Write a graph.

    Raises:
        OSError: the disk is full or closed to us; this says nothing against the graph.
    """
    try:
        ov.save_model(graph, file, compress_to_fp16=True)
    except RuntimeError as error:  # all that OpenVINO raises
        raise OSError(f"cannot write '{file}': {error}") from error


def _write_tokenizer(model: Model, folder: GraphCache) -> Tokenizer:
    """Write what cuts texts into tokens, and return it."""
    if isinstance(model.module, DualEncoder) and model.tokenizer_file is not None:
        with replacing(folder.tokenizer) as part:
            shutil.copyfile(model.tokenizer_file, part)
        return WordPieceTokenizer(folder.tokenizer, model.module.config.text.context)
    context = model.tokenize(["a"]).shape[1]
    with replacing(folder.pairs) as part:
        write_clip_words(Path(default_bpe()), part)
    return ClipTokenizer(folder.pairs, context)


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

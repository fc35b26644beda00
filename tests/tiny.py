"""A tiny dual encoder with the built-in architecture, and drawn photos with colour captions."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from retrieval._enums import WeightStorage
from retrieval.models.checkpoint import save_checkpoint
from retrieval.models.dual_encoder import (
    DualEncoder,
    DualEncoderConfig,
    ImageTowerConfig,
    TextTowerConfig,
)
from retrieval.models.loaded_model import Model, TensorTokenizer
from retrieval.models.pixels import Preprocess
from retrieval.models.preprocess import ImageSpec
from retrieval.models.tokenizer import WordPieceTokenizer
from tests.fakes import COLOURS, draw

WORDS = ["[PAD]", "[UNK]", *COLOURS, "a", "photo", "of", "and", "beside", "stripe", "the", "."]

CONFIG = DualEncoderConfig(
    image=ImageTowerConfig(size=32, patch=8, width=48, layers=2, heads=3),
    text=TextTowerConfig(vocabulary=len(WORDS), context=12, width=32, layers=2, heads=4),
    dim=16,
    hidden=32,
)


CODED = replace(
    CONFIG,
    image=replace(CONFIG.image, classes=5),
    text=replace(CONFIG.text, names=len(COLOURS)),
    code=6,
    known=0.6,
)


def tiny_model(folder: Path, seed: int = 0, config: DualEncoderConfig = CONFIG) -> Model:
    """Make a tiny model with random weights and save it in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    words = Tokenizer(models.WordLevel(dict(zip(WORDS, range(99), strict=False)), "[UNK]"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(folder / "words.json"))
    torch.manual_seed(seed)
    image = ImageSpec(size=config.image.size)
    module = DualEncoder(config).eval()
    for name, weight in module.named_parameters():
        if name.endswith("memory.values"):
            torch.nn.init.normal_(weight)
    model = Model(
        name="tiny",
        module=module,
        tokenize=TensorTokenizer(WordPieceTokenizer(folder / "words.json", config.text.context)),
        preprocess=Preprocess(image),
        image=image,
        architecture={"family": "twin", **asdict(config)},
        dim=config.dim,
        tokenizer_file=folder / "words.json",
    )
    save_checkpoint(model, folder, WeightStorage.FLOAT32)
    return model


def colour_pairs(folder: Path) -> Path:
    """Draw a photo for each ordered pair of colours, with two captions; return the JSONL."""
    rows = []
    for first in COLOURS:
        for second in COLOURS:
            if first != second:
                draw(folder / f"{first}-{second}.png", first, second, size=(32, 32))
                captions = [f"{first} beside {second}", f"a photo of {first} and {second} ."]
                rows.append({"image": f"{first}-{second}.png", "captions": captions})
    source = folder / "pairs.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return source


def half_of(source: Path) -> Path:
    """Write every second pair of a JSONL beside it: enough to choose weights by, in less time."""
    half = source.with_name("half.jsonl")
    half.write_text(
        "\n".join(source.read_text(encoding="utf-8").splitlines()[::2]), encoding="utf-8"
    )
    return half

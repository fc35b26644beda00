"""Runs of a tiny model on drawn colours, as several test modules make them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from retrieval.training.config import AugmentConfig, TrainConfig
from tests.tiny import colour_pairs

STILL = AugmentConfig(crop=0.9, flip=0.0, colour=0.0, grey=0.0)
COMMAND = (sys.executable, "-m", "retrieval.cli", "train")


def config(start: Path, out: str = "out", **changes: object) -> TrainConfig:
    """A short run from the model in `start`, with pairs and result beside it."""
    pairs = start.parent / "photos" / "pairs.jsonl"
    source = pairs if pairs.exists() else colour_pairs(pairs.parent)
    plain = {
        "pairs": (source,),
        "init": str(start),
        "out": start.parent / out,
        "epochs": 2,
        "batch_size": 14,
        "captions": 2,
        "lr": 3e-3,
        "device": "cpu",
        "augment": STILL,
        **changes,
    }
    return TrainConfig(**plain)


def losses(out: Path) -> list[float]:
    """The losses that a run logged."""
    return [line["loss"] for line in log(out) if "loss" in line]


def log(out: Path) -> list[dict[str, object]]:
    """What a run logged."""
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def options(run: TrainConfig) -> list[str]:
    """A run as options of the command line."""
    settings = {
        "pairs": run.pairs[0], "init": run.init, "out": run.out, "epochs": run.epochs,
        "batch-size": run.batch_size, "captions": run.captions, "lr": run.lr, "device": "cpu",
        "checkpoint-every": run.checkpoint_every, "ema": run.ema, "lora": run.lora,
        "cache-gib": run.cache_gib, "patience": run.patience, "crop": run.augment.crop,
        "flip": run.augment.flip, "colour": run.augment.colour, "grey": run.augment.grey,
    }  # fmt: skip
    val = [f"--val={run.val}"] if run.val else []
    return [*(f"--{name}={value}" for name, value in settings.items()), *val]

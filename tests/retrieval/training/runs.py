"""Runs of a tiny model on drawn colours, as several test modules make them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from retrieval._enums import Precision
from retrieval.training.config import AugmentConfig, TrainConfig
from retrieval.training.cpu import knows_bfloat16
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


def quick_precisions() -> list[object]:
    """Each precision, as a parameter; one that takes this CPU minutes is skipped."""
    slow = pytest.mark.skipif(
        not knows_bfloat16(), reason="this CPU computes bfloat16 one number at a time"
    )
    return [pytest.param(each, marks=[slow] * (each == Precision.BF16)) for each in Precision]


def losses(out: Path) -> list[float]:
    """The losses that a run logged."""
    return [line["loss"] for line in log(out) if "loss" in line]


def log(out: Path) -> list[dict[str, object]]:
    """What a run logged."""
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def options(run: TrainConfig) -> list[str]:
    """A run as options of the command line, the augmentation's left out."""
    settings = {
        "pairs": run.pairs[0], "init": run.init, "out": run.out, "epochs": run.epochs,
        "batch-size": run.batch_size, "captions": run.captions, "lr": run.lr, "device": "cpu",
        "checkpoint-every": run.checkpoint_every, "ema": run.ema,
    }  # fmt: skip
    return [f"--{name}={value}" for name, value in settings.items()]

"""What fine-tuning on few photos gains, and what it forgets: full, LoRA, and blends with the start.

    python benchmarks/finetuning.py --pairs products.jsonl --keep general.jsonl --out runs/few

Cross-validation over `--pairs`: each fold is held back once, the others are learned from. Every
result is blended with the start (WiSE-FT) by several shares and measured on the held-back fold
and on `--keep`. Prints one JSON object a line: `rsum` is the sum of R@1, R@5 and R@10 of both
directions, `R@1` that of text → photo; both are means over the folds. Share 0 is the start.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from retrieval._enums import Precision
from retrieval.models import load_model
from retrieval.pairs import Pair, read_pairs
from retrieval.training.config import TrainConfig
from retrieval.training.finetune.wise_ft import TUNED, choose_share
from retrieval.training.loop import train
from retrieval.training.observer import TrainObserver
from retrieval.training.validation import DevSet, sum_of_recalls

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
METHODS: dict[str, dict[str, float]] = {
    "full": {"lr": 1e-4},
    "lora": {"lora": 8, "lr": 1e-3},
}


def write(pairs: Sequence[Pair], path: Path) -> Path:
    rows = [
        {"image": str(pair.photo.path.resolve()), "captions": list(pair.captions)} for pair in pairs
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", default="builtin")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--keep-photos", type=int, default=300)
    chosen = parser.parse_args()

    chosen.out.mkdir(parents=True)
    pairs = read_pairs(chosen.pairs).pairs
    start = load_model(chosen.init)
    keep = DevSet(start, read_pairs(chosen.keep).pairs[: chosen.keep_photos])
    found: dict[tuple[str, float], list[list[float]]] = {}
    for fold in range(chosen.folds):
        held = pairs[fold :: chosen.folds]
        learned = [pair for pair in pairs if pair not in held]
        source = write(learned, chosen.out / f"learned-{fold}.jsonl")
        for method, settings in METHODS.items():
            run = TrainConfig(
                pairs=(source,), init=chosen.init, out=chosen.out / f"{method}-{fold}",
                epochs=chosen.epochs, batch_size=len(learned) // 2, precision=Precision.BF16,
                wise="1", device="cpu", **settings,
            )  # fmt: skip
            train(run, TrainObserver(note=lambda line: print(line, flush=True)))
            tuned = load_model(str(run.out / TUNED))
            sets = {"held": DevSet(start, held), "keep": keep}
            for tried in choose_share(start, tuned, SHARES, sets, torch.device("cpu")).tried:
                figures = [sum_of_recalls(tried[name]) for name in sets]
                first = [tried[name]["text_to_image"]["R@1"] for name in sets]
                found.setdefault((method, tried["share"]), []).append([*figures, *first])
    for (method, share), folds in found.items():
        means = np.round(np.mean(folds, axis=0), 1).tolist()
        names = ("held rsum", "keep rsum", "held R@1", "keep R@1")
        print(
            json.dumps({"method": method, "share": share, **dict(zip(names, means, strict=True))})
        )


if __name__ == "__main__":
    main()

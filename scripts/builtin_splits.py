"""Split the photos that the built-in model learns from, and those that it is measured on.

    python scripts/builtin_splits.py --datasets DIR --out runs/pairs

`--datasets` holds `flickr8k`, `caltech101`, `imagenet_samples` and `unsplash`, each with `images/`
and, but for the last, its JSONL. Writes, with paths relative to `--out`:

| file | what |
|---|---|
| `flickr_train.jsonl`, `flickr_dev.jsonl` | the official split, as pairs |
| `labelled.list.jsonl` | to learn from: Caltech, up to 20 a label; every other ImageNet class |
| `unlabelled.list.jsonl` | to learn from, by what a classifier sees on them |
| `caltech_dev.jsonl`, `imagenet_dev.jsonl` | held back: Caltech, 10 a label; the other classes |
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from pathlib import Path

HELD_BACK = {1, 2, 3, 4, 5, 6, 17, 18, 19, 20}  # of each Caltech label, by order in the file
Row = dict[str, object]


def read(source: Path, out: Path) -> list[Row]:
    """Read a JSONL; make its image paths relative to `out`."""
    rows: list[Row] = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    return [
        {**row, "image": os.path.relpath(source.parent / str(row["image"]), out)} for row in rows
    ]


def write(rows: list[Row], path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    print(f"{path}: {len(rows)}")


def split_caltech(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Return what is held back and what is learned from, by order in the file."""
    seen: Counter[object] = Counter()
    held, learned = [], []
    for row in rows:
        seen[row["label"]] += 1
        (held if seen[row["label"]] in HELD_BACK else learned).append(row)
    return held, learned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    data, out = chosen.datasets, chosen.out
    out.mkdir(parents=True, exist_ok=True)

    for split in ("train", "dev"):
        write(read(data / f"flickr8k/{split}.jsonl", out), out / f"flickr_{split}.jsonl")
    held, learned = split_caltech(read(data / "caltech101/labels.jsonl", out))
    imagenet = read(data / "imagenet_samples/labels.jsonl", out)
    odd = set(sorted(str(row["wnid"]) for row in imagenet)[1::2])
    write(held, out / "caltech_dev.jsonl")
    write([row for row in imagenet if row["wnid"] in odd], out / "imagenet_dev.jsonl")
    learned += [row for row in imagenet if row["wnid"] not in odd]
    write(learned, out / "labelled.list.jsonl")
    unlabelled = sorted((data / "unsplash/images").iterdir())
    write(
        [{"image": os.path.relpath(path, out)} for path in unlabelled],
        out / "unlabelled.list.jsonl",
    )


if __name__ == "__main__":
    main()

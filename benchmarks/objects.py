"""Find objects by name: mean precision@k of "a photo of a {label}" over labelled photos.

    python benchmarks/objects.py --labels labels.jsonl --k 10 [--model builtin]

`--labels`: a JSONL of `{"image", "label"}`. Each label is one query over all the photos;
precision@k is the share of its first k photos that carry the label (k is cut to the number of
photos that do). Prints one JSON object, with the labels that do worst.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from indexer.photos import read_photo
from retrieval.models import load_encoder

BATCH = 250


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--template", default="a photo of a {}")
    chosen = parser.parse_args()

    encoder = load_encoder(chosen.model)
    rows = [json.loads(line) for line in chosen.labels.read_text(encoding="utf-8").splitlines()]
    vectors = []
    for start in range(0, len(rows), BATCH):
        paths = [chosen.labels.parent / row["image"] for row in rows[start : start + BATCH]]
        photos = [read_photo(path, size_hint=encoder.image_size) for path in paths]
        vectors.append(encoder.encode_images(photos))
    owned = np.array([row["label"] for row in rows])
    labels = sorted(set(owned))
    queries = encoder.encode_texts([chosen.template.format(label) for label in labels])
    order = np.argsort(-(queries @ np.concatenate(vectors).T), axis=1, kind="stable")
    precision = {}
    for label, ranked in zip(labels, order, strict=True):
        k = min(chosen.k, int((owned == label).sum()))
        precision[label] = float((owned[ranked[:k]] == label).mean())
    worst = sorted(precision, key=lambda label: precision[label])[:10]
    result = {
        "model": encoder.name,
        "photos": len(rows),
        "labels": len(labels),
        f"precision@{chosen.k}": round(float(np.mean(list(precision.values()))), 4),
        "worst": {label: round(precision[label], 2) for label in worst},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

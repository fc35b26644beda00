"""Write the bank of generic photos of a model, which corrects searches for texts by photo.

    python scripts/photo_bank.py --model runs/mine --photos train.jsonl --size 2000 \\
        --out runs/mine/photo_bank.safetensors

`--photos`: a JSONL of `{"image": "path relative to the file", ...}`, photos of every kind that
none of the model's test sets holds; `--size` of them are drawn. The file fits these weights only.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from indexer.core.encoder import Vectors
from indexer.core.errors import FileUnreadable
from indexer.media.image import read_photo
from retrieval.models import TorchEncoder, load_encoder
from retrieval.models.reference_vectors import load_bank, save_bank

BATCH = 250


def draw(listed: Path, size: int, seed: int) -> list[Path]:
    """Return `size` of the photos in a JSONL, each once, in a random order."""
    rows = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    photos = sorted({listed.parent / row["image"] for row in rows})
    random.Random(seed).shuffle(photos)
    return photos[:size]


def embed(encoder: TorchEncoder, paths: Sequence[Path]) -> Vectors:
    """Embed the photos that can be read; name the others. Shape (photos, dim)."""
    photos = []
    for path in paths:
        try:
            photos.append(read_photo(path, size_hint=encoder.image_size))
        except FileUnreadable as error:
            print(f"skipping {path}: {error}")
    return encoder.encode_images(photos)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()

    encoder = load_encoder(chosen.model)
    paths = draw(chosen.photos, chosen.size, chosen.seed)
    batches = (paths[start : start + BATCH] for start in range(0, len(paths), BATCH))
    vectors = np.concatenate([embed(encoder, batch) for batch in batches])
    save_bank(chosen.out, vectors, fingerprint=encoder.fingerprint)
    again = load_bank(chosen.out, fingerprint=encoder.fingerprint, dim=encoder.dim)
    print(f"{chosen.out}: {len(again)} photos, made with {encoder.fingerprint[:12]}")


if __name__ == "__main__":
    main()

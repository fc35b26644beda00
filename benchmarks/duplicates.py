"""Copies of photos against other photos of the same subject: what tells them apart.

    python benchmarks/duplicates.py --labels caltech101/labels.jsonl [--photos 100] [--seed 0]

`--labels`: a JSONL of `{"image", "label"}`. `--photos` of them are copied in the ways of `CHANGES`:
`near` is the share of copies whose cosine is `NEAR` or more, `least` the lowest correlation of the
pictures, `alike` the share of `ALIKE` or more. Other photos are ten of each label, the most common
labels first; of their pairs of `NEAR` or more, the largest correlations, and how many are of
`ALIKE` or more. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from indexer.duplicates import ALIKE, NEAR, likeness, picture
from indexer.encoder import Vectors
from indexer.photos import read_photo
from retrieval.models import TowerEncoder, load_encoder

BATCH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()

    encoder = load_encoder(chosen.model, "cpu")
    lines = chosen.labels.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    order = np.random.default_rng(chosen.seed).permutation(len(rows))
    paths = [chosen.labels.parent / rows[at]["image"] for at in order]
    originals = paths[: chosen.photos]
    photos = [read_photo(path, size_hint=encoder.image_size) for path in originals]
    vectors, pictures = embed(encoder, photos), [picture(photo) for photo in photos]
    result: dict[str, object] = {"model": encoder.name, "photos": len(photos), "seed": chosen.seed}
    for name, change in CHANGES.items():
        files = [change(Image.open(path).convert("RGB")) for path in originals]
        copies = [read_photo(file, size_hint=encoder.image_size) for file in files]
        cosines = (embed(encoder, copies) * vectors).sum(axis=1)
        alike = np.array([likeness(a, picture(b)) for a, b in zip(pictures, copies, strict=True)])
        result[name] = {
            "near": share(cosines >= NEAR),
            "least": round(float(alike.min()), 3),
            "alike": share(alike >= ALIKE),
        }
    labels = [rows[at]["label"] for at in order]
    result["other photos"] = others(encoder, paths, labels, chosen.photos)
    print(json.dumps(result))


def others(
    encoder: TowerEncoder, paths: list[Path], labels: list[str], many: int
) -> dict[str, object]:
    """Pairs of photos of one label that are near, the labels with most photos first."""
    common = sorted(sorted(set(labels)), key=labels.count, reverse=True)
    chosen = [at for label in common for at in np.flatnonzero(np.array(labels) == label)[:10]]
    photos = [read_photo(paths[at], size_hint=encoder.image_size) for at in chosen[: 3 * many]]
    vectors, pictures = embed(encoder, photos), [picture(photo) for photo in photos]
    pairs = np.argwhere(np.triu(vectors @ vectors.T, 1) >= NEAR)
    alike = np.array([likeness(pictures[a], pictures[b]) for a, b in pairs])
    return {
        "photos": len(photos),
        "pairs near": len(pairs),
        "largest": np.sort(alike)[::-1][:5].round(3).tolist(),
        "alike": int((alike >= ALIKE).sum()),
    }


def embed(encoder: TowerEncoder, photos: list[Image.Image]) -> Vectors:
    starts = range(0, len(photos), BATCH)
    return np.concatenate([encoder.encode_images(photos[at : at + BATCH]) for at in starts])


def share(values: np.ndarray) -> float:
    return round(float(values.mean()), 3)


def jpeg(photo: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return file.getvalue()


def cut(photo: Image.Image, share: float, left: float = 0.5) -> Image.Image:
    """Cut a part out, `left` of what goes at the left and at the top."""
    width, height = int(photo.width * share), int(photo.height * share)
    x, y = int((photo.width - width) * left), int((photo.height - height) * left)
    return photo.crop((x, y, x + width, y + height))


def half(photo: Image.Image) -> Image.Image:
    return photo.resize((max(1, photo.width // 2), max(1, photo.height // 2)))


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "half the size": lambda photo: jpeg(half(photo)),
    "JPEG quality 30": lambda photo: jpeg(photo, 30),
    "cropped to 95 %": lambda photo: jpeg(cut(photo, 0.95)),
    "cropped to 87 %": lambda photo: jpeg(cut(photo, 0.87)),
    "a corner of 90 %": lambda photo: jpeg(cut(photo, 0.9, 0.0)),
    "brighter by 30 %": lambda photo: jpeg(ImageEnhance.Brightness(photo).enhance(1.3)),
    "contrast + 30 %": lambda photo: jpeg(ImageEnhance.Contrast(photo).enhance(1.3)),
    "grey": lambda photo: jpeg(photo.convert("L").convert("RGB")),
}


if __name__ == "__main__":
    main()
